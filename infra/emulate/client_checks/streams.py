"""Responses as streams: followed to their end, left and gone on with, and on a server that is killed."""

import asyncio
import json
import os
import random
import time

import openai
import pydantic

from client_checks import MODEL
from http_client import expect
from processes import say

TEXT = "the quick brown fox jumps over the lazy dog and goes on, behind the last word that was read"
ECHO = f"Echo: {TEXT}"
STREAMS = 20  # at once, each cut several times
SEED_VARIABLE = "TURNWISE_SEED"  # a seed that was printed, to see the same cuts again

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather at a place.",
    "parameters": {
        "type": "object",
        "properties": {"place": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["place", "days"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Answer(pydantic.BaseModel):
    """What a structured answer is parsed into."""

    title: str
    points: list[str]


def slowed(delay_ms):
    """local/echo pauses before each word."""
    return {"echo_delay_ms": delay_ms}


def text_of(events):
    """The text of a stream, put together from its pieces."""
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def expect_whole(what, events, text=ECHO):
    """The sequence that the standard asks for: no number is missing or comes twice, and the pieces make the text."""
    expect(f"{what}: the numbers", [event.sequence_number for event in events], list(range(len(events))))
    expect(f"{what}: its start", events[0].type, "response.created")
    expect(f"{what}: its end", events[-1].type, "response.completed")
    expect(f"{what}: the pieces", text_of(events), text)
    expect(f"{what}: the answer", events[-1].response.output_text, text)


def take(stream, count):
    """The first `count` events of a stream; then its connection is cut."""
    events = []
    with stream:
        for event in stream:
            events.append(event)
            if len(events) == count:
                break
    return events


def check_followed(client):
    """A stream read to its end, by hand and by the client's helper; and again from the store."""
    events = list(client.responses.create(model=MODEL, input=TEXT, stream=True))
    expect_whole("a stream", events)
    response = events[-1].response
    expect("it is what is stored", client.responses.retrieve(response.id), response)
    expect("the stream as stored", list(client.responses.retrieve(response.id, stream=True)), events)

    with client.responses.stream(model=MODEL, input=TEXT) as stream:
        types = [event.type for event in stream]
        final = stream.get_final_response()
    expect("the helper's events", types, [event.type for event in events])
    expect("the helper's answer", (final.status, final.output_text), ("completed", ECHO))

    # The helper reads the whole stream, and shows what is behind the event.
    with client.responses.stream(response_id=response.id, starting_after=7) as stream:
        numbers = [event.sequence_number for event in stream]
        final = stream.get_final_response()
    expect("the helper goes on", (numbers, final.output_text), (list(range(8, len(events))), ECHO))
    say(f"streams: {len(events)} events, the same from the store, and by the helper")


def check_left(client):
    """A stream of a response in the background, left and gone on with behind the last event."""
    stream = client.responses.create(model=MODEL, input=TEXT, background=True, stream=True, extra_body=slowed(40))
    first = take(stream, 9)
    response_id = first[0].response.id
    expect("a response in the background waits first", first[1].type, "response.queued")
    rest = take(client.responses.retrieve(response_id, stream=True, starting_after=8), 5)
    rest += client.responses.retrieve(response_id, stream=True, starting_after=13)
    expect_whole("a stream that was left", first + rest)
    expect("it is what is stored", client.responses.retrieve(response_id), rest[-1].response)
    behind_all = client.responses.retrieve(response_id, stream=True, starting_after=rest[-1].sequence_number)
    expect("behind the last event", list(behind_all), [])
    try:
        list(client.responses.retrieve(response_id, stream=True, starting_after=rest[-1].sequence_number + 1))
        expect("behind an event that does not exist", "a stream", "BadRequestError")
    except openai.BadRequestError as error:
        expect("behind an event that does not exist", error.param, "starting_after")
    say("left after 9 events and after 14: the rest behind them, and nothing behind the end")


def check_cancelled(client):
    """A response that runs is cancelled, and so its stream ends."""
    stream = client.responses.create(model=MODEL, input=TEXT, background=True, stream=True, extra_body=slowed(200))
    first = take(stream, 8)
    response_id = first[0].response.id
    expect("it runs", client.responses.retrieve(response_id).status, "in_progress")
    cancelled = client.responses.cancel(response_id)
    expect("it is cancelled", cancelled.status, "cancelled")
    expect("it stays so", client.responses.retrieve(response_id), cancelled)
    rest = list(client.responses.retrieve(response_id, stream=True, starting_after=first[-1].sequence_number))
    numbers = [event.sequence_number for event in first + rest]
    expect("its stream has no gap", numbers, list(range(len(numbers))))
    expect("its stream ends so", rest[-1].response.status, "cancelled")
    expect("what had come of it", ECHO.startswith(cancelled.output_text) and bool(cancelled.output_text), True)
    say(f"cancelled while it ran, with {cancelled.output_text!r}")


def check_tool_call(client):
    """A function is called in pieces, and its result answered."""
    events = list(client.responses.create(model=MODEL, input="What is the weather?", tools=[WEATHER], stream=True))
    numbers = [event.sequence_number for event in events]
    expect("a call's numbers", numbers, list(range(len(events))))
    pieces = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    [whole] = [event for event in events if event.type == "response.function_call_arguments.done"]
    expect("the arguments", "".join(pieces), whole.arguments)
    [call] = [item for item in events[-1].response.output if item.type == "function_call"]
    expect("the call", (call.name, call.arguments, call.id), ("get_weather", whole.arguments, whole.item_id))
    expect("its arguments' names", sorted(json.loads(call.arguments)), ["days", "place"])

    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    following = client.responses.create(
        model=MODEL, input=[output], tools=[WEATHER], previous_response_id=events[-1].response.id
    )
    expect("the result is answered", "sunny" in following.output_text, True)
    say(f"a function called in {len(pieces)} pieces, {call.arguments}, and its result answered")


def check_parsed(client):
    """An answer in the form of a class, whole and streamed."""
    parsed = client.responses.parse(model=MODEL, input="A title and points, please.", text_format=Answer)
    expect("it is one", isinstance(parsed.output_parsed, Answer), True)
    with client.responses.stream(model=MODEL, input="A title and points, please.", text_format=Answer) as stream:
        final = stream.get_final_response()
    expect("streamed it is the same", final.output_parsed, parsed.output_parsed)
    say(f"parsed: {parsed.output_parsed!r}")


def check_cut_at_random(running):
    """Many streams at once, each cut at random places and gone on with: each is as if nothing had happened."""
    seed = int(os.environ.get(SEED_VARIABLE) or time.time())
    say(f"cut at random: {SEED_VARIABLE}={seed}")
    began = time.monotonic()
    cuts, events = asyncio.run(cut_all(running, seed))
    say(f"{STREAMS} streams at once, {cuts} cuts, {events} events in {time.monotonic() - began:.1f} s, none lost, none twice")


async def cut_all(running, seed):
    """All streams; returns how many cuts and events there were."""
    options = {"base_url": f"{running.url}/v1", "api_key": running.key, "max_retries": 0, "timeout": 30}
    async with openai.AsyncOpenAI(**options) as client:
        results = await asyncio.gather(*(cut_one(client, number, seed) for number in range(STREAMS)))
    return sum(cuts for cuts, _ in results), sum(events for _, events in results)


async def cut_one(client, number, seed):
    """One stream, cut until it ends; compared with its uninterrupted replay."""
    chance = random.Random(f"{seed}:{number}")
    text = f"number {number} says: {TEXT}"
    stream = await client.responses.create(
        model=MODEL,
        input=text,
        stream=True,
        background=chance.random() < 0.5,
        extra_body=slowed(chance.randrange(10, 60)),
    )
    events, cuts = [], 0
    while not events or events[-1].type != "response.completed":
        count = chance.randrange(1, 10)
        async with stream:
            async for event in stream:
                events.append(event)
                count -= 1
                if count == 0:
                    break
        cuts += 1
        after = events[-1].sequence_number
        # Some come back at once, some when the turn has long ended.
        await asyncio.sleep(chance.choice([0, 0, 0.05, 0.5]))
        stream = await client.responses.retrieve(events[0].response.id, stream=True, starting_after=after)
    async with stream:
        expect(f"stream {number}: behind its end", [event async for event in stream], [])
    expect_whole(f"stream {number}", events, f"Echo: {text}")
    replay = await client.responses.retrieve(events[0].response.id, stream=True)
    async with replay:
        expect(f"stream {number}: its replay", [event async for event in replay], events)
    return cuts, len(events)


def check_killed(client, running):
    """The server is killed while it answers: each stream goes on or says why not, and each turn has one answer."""
    plans = {
        "whole before": {"background": False, "extra_body": slowed(0)},
        "running": {"background": False, "extra_body": slowed(200)},
        "in the background": {"background": True, "extra_body": slowed(200)},
        "restartable": {"background": True, "extra_body": slowed(200)},
    }
    made = {}
    for number, (name, plan) in enumerate(plans.items()):
        headers = {"Idempotency-Key": f"client-killed-{number}"}
        arguments = {"model": MODEL, "input": TEXT, "extra_headers": headers, **plan}
        made[name] = arguments, client.responses.create(stream=True, **arguments)
    # All are running, or whole, before any is left.
    made = {name: (arguments, take(stream, 8)) for name, (arguments, stream) in made.items()}
    running.kill()
    try:
        client.responses.create(model=MODEL, input=TEXT)
        expect("a server that was killed", "an answer", "APIConnectionError")
    except openai.APIConnectionError:
        pass
    running.start()

    became = {name: come_back(client, *entry, restartable=name == "restartable") for name, entry in made.items()}
    expected = ["gone on with", "taken over", "taken over", "begun anew"]
    expect("what became of each", became, dict(zip(plans, expected, strict=True)))
    say(f"killed in mid-stream: {became}")


def come_back(client, arguments, first, restartable):
    """Goes on with a stream of a server that was killed and is back; returns what became of it."""
    response_id, after = first[0].response.id, first[-1].sequence_number
    query = {"restartable": True} if restartable else {}
    rest = []
    try:
        rest += client.responses.retrieve(response_id, stream=True, starting_after=after, extra_query=query)
        became = "gone on with"
    except openai.APIError as error:
        expect("why not", (error.code, restartable), ("taken_over", False))
        became = "taken over"
    if rest and rest[0].sequence_number != after + 1:
        became = "begun anew"
        numbers = [event.sequence_number for event in rest]
        expect("numbers of their own", numbers, list(range(numbers[0], numbers[0] + len(rest))))
        expect("begun anew", (restartable, rest[0].type, text_of(rest)), (True, "response.created", ECHO))
    elif rest:
        expect_whole("gone on with", first + rest)

    create = client.responses.with_raw_response.create
    retry, again = create(**{**arguments, "background": False}), create(**{**arguments, "background": False})
    expect("its retry's answer", (retry.parse().id, retry.parse().output_text), (response_id, ECHO))
    expect("its retry is a replay", retry.headers.get("idempotent-replayed"), "true")
    expect("there is one answer", again.content, retry.content)
    expect("it is the one that is stored", client.responses.retrieve(response_id).output_text, ECHO)
    return became
