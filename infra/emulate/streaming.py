"""The deployed `stream` function streams: run by cargo-lambda, its events arrive one by one.

    python infra/emulate/streaming.py

Needs `cargo build --release`. The table comes from the emulated cloud. `local/echo` is slowed, and the arrival of each
event is timed. A stream whose connection is cut goes on behind its last event.
"""

import hashlib
import itertools
import json
import os

import translate
from cloud import ADMINISTRATOR, API_KEY, REGION, cloud
from http_client import expect, request, sse_data, sse_ids, whole_events
from processes import ROOT, free_port, say, server

WORDS = 8
DELAY_MS = 250
HEADERS = {"authorization": f"Bearer {API_KEY}"}
TEXT = " ".join(f"word{number}" for number in range(WORDS))
ECHO = f"Echo: {TEXT}"


def create_state(running):
    """The table and the queue of template.yaml; returns the settings that point at them."""
    resources = translate.translate()["Resources"]
    table = {
        name: value
        for name, value in resources["Table"]["Properties"].items()
        if name in ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    }
    running.client("dynamodb").create_table(TableName="turnwise", **table)
    queue_url = running.client("sqs").create_queue(QueueName="turnwise")["QueueUrl"]
    return {
        "TURNWISE_TABLE": "turnwise",
        "TURNWISE_QUEUE_URL": queue_url,
        "TURNWISE_API_KEYS_SHA256": hashlib.sha256(API_KEY.encode()).hexdigest(),
        "TURNWISE_DEFAULT_MODEL": "local/echo",
        "AWS_ENDPOINT_URL": running.endpoint,
        "AWS_REGION": REGION,
        **ADMINISTRATOR,
    }


def check(url, body, ends_with):
    """Posts a streaming request; its events must arrive spread over the time that the echo takes."""
    arrivals = []
    answer = request("POST", url, body, HEADERS, on_chunk=lambda at, chunk: arrivals.append(at))
    expect("the status", answer.status, 200)
    expect("the content type", answer.headers["content-type"].split(";")[0], "text/event-stream")
    data = sse_data(answer.body)
    expect("the last event", ends_with(data), True)

    pauses = [later - earlier for earlier, later in itertools.pairwise(arrivals)]
    spread_s = arrivals[-1] - arrivals[0]
    # Half of what the echo takes is far more than a buffered answer's chunks, which come at once.
    slow = WORDS * DELAY_MS / 1000 / 2
    expect(f"{len(arrivals)} chunks over {spread_s:.2f} s come one by one", spread_s > slow, True)
    expect("several chunks", len(arrivals) >= WORDS // 2, True)
    say(f"{len(data)} events in {len(arrivals)} chunks over {spread_s:.2f} s, longest pause {max(pauses):.2f} s")


def check_response_resumed(function):
    """A response's stream, cut after its first words and gone on with by its address."""
    body = {"model": "local/echo", "input": TEXT, "stream": True, "echo_delay_ms": DELAY_MS // 4}
    cut = request("POST", f"{function}/v1/responses", body, HEADERS, cut_after=6)
    first = [json.loads(data) for data in sse_data(whole_events(cut.body))]
    after, response_id = first[-1]["sequence_number"], first[0]["response"]["id"]
    rest = request("GET", f"{function}/v1/responses/{response_id}?stream=true&starting_after={after}", headers=HEADERS)
    *data, over = sse_data(rest.body)
    expect("the last event", over, "[DONE]")
    events = first + [json.loads(event) for event in data]
    expect("the numbers", [event["sequence_number"] for event in events], list(range(len(events))))
    pieces = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    expect("the pieces", "".join(pieces), ECHO)
    expect("the end", events[-1]["type"], "response.completed")
    say(f"a response cut at event {after}: {len(data)} events behind it, none lost, none twice")


def check_turn_resumed(function):
    """A turn's stream, cut after its first words and gone on with by its key."""
    body = {
        "message": TEXT,
        "session_id": "streaming",
        "turn_id": "cut",
        "model": "local/echo",
        "stream": True,
        "echo_delay_ms": DELAY_MS // 4,
    }
    cut = whole_events(request("POST", f"{function}/v1/chat", body, HEADERS, cut_after=5).body)
    after = sse_ids(cut)[-1]
    headers = {**HEADERS, "accept": "text/event-stream", "last-event-id": str(after)}
    rest = request("GET", f"{function}/v1/turns/streaming:cut", headers=headers)
    expect("the content type", rest.headers["content-type"].split(";")[0], "text/event-stream")
    ids = sse_ids(cut) + sse_ids(rest.body)
    expect("the ids", ids, list(range(len(ids))))
    data = [json.loads(data) for data in sse_data(cut) + sse_data(rest.body)]
    expect("the pieces", "".join(event.get("text", "") for event in data), ECHO)
    expect("the answer", (data[-1]["message"], data[-1]["turn_number"]), (ECHO, 1))
    say(f"a turn cut at event {after}: gone on with up to event {ids[-1]}, none lost, none twice")


def main():
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    watch = ["cargo", "lambda", "watch", "--release", "--ignore-changes", "-A", "127.0.0.1", "-P", port]
    path = f"{ROOT / 'target/tools/sam/bin'}{os.pathsep}{os.environ['PATH']}"
    with cloud() as running:
        settings = create_state(running)
        with server("cargo-lambda", watch, address, {**settings, "PATH": path}):
            function = f"{address}/lambda-url/stream"
            chat = {"message": TEXT, "stream": True, "model": "local/echo", "echo_delay_ms": DELAY_MS}
            check(f"{function}/v1/chat", chat, lambda data: bool(data))
            completion = {
                "model": "local/echo",
                "messages": [{"role": "user", "content": TEXT}],
                "stream": True,
                "echo_delay_ms": DELAY_MS,
            }
            check(f"{function}/v1/chat/completions", completion, lambda data: data[-1] == "[DONE]")
            response = {"model": "local/echo", "input": TEXT, "stream": True, "echo_delay_ms": DELAY_MS}
            check(f"{function}/v1/responses", response, lambda data: data[-1] == "[DONE]")
            check_response_resumed(function)
            check_turn_resumed(function)


if __name__ == "__main__":
    main()
