"""The deployed `stream` function streams: run by cargo-lambda, its events arrive one by one.

    python infra/emulate/streaming.py

Needs `cargo build --release`. The table comes from the emulated cloud. `local/echo` is slowed, and the arrival of each
event is timed.
"""

import hashlib
import itertools
import os

import translate
from cloud import ADMINISTRATOR, API_KEY, REGION, cloud
from http_client import expect, request, sse_data
from processes import ROOT, free_port, say, server

WORDS = 8
DELAY_MS = 250


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
    headers = {"authorization": f"Bearer {API_KEY}"}
    answer = request("POST", url, body, headers, on_chunk=lambda at, chunk: arrivals.append(at))
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


def main():
    text = " ".join(f"word{number}" for number in range(WORDS))
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    watch = ["cargo", "lambda", "watch", "--release", "--ignore-changes", "-A", "127.0.0.1", "-P", port]
    path = f"{ROOT / 'target/tools/sam/bin'}{os.pathsep}{os.environ['PATH']}"
    with cloud() as running:
        settings = create_state(running)
        with server("cargo-lambda", watch, address, {**settings, "PATH": path}):
            function = f"{address}/lambda-url/stream"
            chat = {"message": text, "stream": True, "model": "local/echo", "echo_delay_ms": DELAY_MS}
            check(f"{function}/v1/chat", chat, lambda data: bool(data))
            completion = {
                "model": "local/echo",
                "messages": [{"role": "user", "content": text}],
                "stream": True,
                "echo_delay_ms": DELAY_MS,
            }
            check(f"{function}/v1/chat/completions", completion, lambda data: data[-1] == "[DONE]")


if __name__ == "__main__":
    main()
