"""Messages: made, streamed, with tools, counted; and our errors as the client's exceptions."""

import anthropic
import pydantic

from client_checks import MESSAGES, MODEL
from http_client import expect
from processes import say

ASKED = {"model": MODEL, "max_tokens": 1024, "messages": MESSAGES}
WEATHER = {
    "name": "get_weather",
    "description": "The weather at a place.",
    "input_schema": {
        "type": "object",
        "properties": {"place": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["place", "days"],
    },
}


class Answer(pydantic.BaseModel):
    """What an answer is to look like."""

    title: str
    points: list[str]


def text_of(message):
    """The text of a message's last block."""
    return message.content[-1].text


def summary(message):
    """What a message says of itself, streamed or whole. Of the tokens, the helper keeps those that it knows in a stream."""
    usage = message.usage
    return message.id, message.stop_reason, text_of(message), usage.input_tokens, usage.output_tokens


def check_created(client):
    """A message and its retry with the same key: the same bytes."""
    headers = {"Idempotency-Key": "anthropic-buffered"}
    create = client.messages.with_raw_response.create
    first = create(**ASKED, system="Be brief.", extra_headers=headers)
    retry = create(**ASKED, system="Be brief.", extra_headers=headers)
    expect("the first is no replay", first.headers.get("idempotent-replayed") in (None, "false"), True)
    expect("the retry is a replay", retry.headers.get("idempotent-replayed"), "true")
    expect("the retry's bytes", retry.http_response.content, first.http_response.content)

    message = first.parse()
    expect("its type and role", (message.type, message.role), ("message", "assistant"))
    expect("its end", (message.stop_reason, message.stop_sequence), ("end_turn", None))
    expect("it counts tokens", message.usage.input_tokens > 0 and message.usage.output_tokens > 0, True)
    expect("the client sees a request id", bool(client.messages.create(**ASKED)._request_id), True)
    say(f"created: {text_of(message)!r}, and the same bytes again")
    return text_of(message)


def check_streamed(client, expected):
    """The same as events, by hand and by the client's helper; and again from the store."""
    headers = {"Idempotency-Key": "anthropic-streamed"}
    events = list(client.messages.create(**ASKED, stream=True, extra_headers=headers))
    types = [event.type for event in events]
    expect("its start and end", (types[0], types[-2:]), ("message_start", ["message_delta", "message_stop"]))
    pieces = [event.delta.text for event in events if event.type == "content_block_delta"]
    expect("the text in pieces", "".join(pieces), expected)
    expect("the same from the store", list(client.messages.create(**ASKED, stream=True, extra_headers=headers)), events)

    with client.messages.stream(**ASKED, extra_headers=headers) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    expect("the helper's text", (text, text_of(final)), (expected, expected))
    expect("the helper's tokens", final.usage.input_tokens > 0 and final.usage.output_tokens > 0, True)
    whole = client.messages.create(**ASKED, extra_headers=headers)
    expect("the helper's message", summary(final), summary(whole))
    say(f"streamed: {len(events)} events, the same from the store, and by the helper")


def check_thought(client):
    """What is thought comes as a block of its own, and goes back with what was said."""
    with client.messages.stream(**ASKED, output_config={"effort": "low"}) as stream:
        final = stream.get_final_message()
    expect("the blocks", [block.type for block in final.content], ["thinking", "text"])
    expect("it is thought", bool(final.content[0].thinking), True)
    said = [*MESSAGES, {"role": "assistant", "content": final.content}, {"role": "user", "content": "and then?"}]
    following = client.messages.create(**{**ASKED, "messages": said})
    expect("it goes on", "and then?" in text_of(following), True)
    say(f"thought: {final.content[0].thinking!r}")


def check_tools(client):
    """A tool is called, whole and in pieces, and its result answered."""
    asked = {**ASKED, "tools": [WEATHER], "tool_choice": {"type": "any"}}
    whole = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        final = stream.get_final_message()
    for what, message in [("whole", whole), ("streamed", final)]:
        [call] = message.content
        expect(f"{what}: the end", message.stop_reason, "tool_use")
        expect(f"{what}: the call", (call.type, call.name, sorted(call.input)), ("tool_use", "get_weather", ["days", "place"]))
    expect("the same input", final.content[0].input, whole.content[0].input)

    result = {"type": "tool_result", "tool_use_id": whole.content[0].id, "content": "sunny"}
    said = [*MESSAGES, {"role": "assistant", "content": whole.content}, {"role": "user", "content": [result]}]
    following = client.messages.create(**{**ASKED, "tools": [WEATHER], "messages": said})
    expect("the result is answered", "sunny" in text_of(following), True)
    say(f"a tool called in {len(pieces)} pieces, {final.content[0].input}, and its result answered")


def check_parsed(client):
    """An answer in the form of a class."""
    parsed = client.messages.parse(**ASKED, output_format=Answer)
    expect("it is one", isinstance(parsed.parsed_output, Answer), True)
    say(f"parsed: {parsed.parsed_output!r}")


def check_counted(client):
    """Tokens are counted as many as a message then takes."""
    counted = client.messages.count_tokens(model=MODEL, messages=MESSAGES).input_tokens
    taken = client.messages.create(model=MODEL, max_tokens=100, messages=MESSAGES).usage.input_tokens
    expect("tokens are counted", (counted > 0, counted), (True, taken))
    with_tools = client.messages.count_tokens(model=MODEL, messages=MESSAGES, tools=[WEATHER]).input_tokens
    expect("with tools too", with_tools >= counted, True)
    say(f"{counted} tokens counted, {with_tools} with a tool")


def check_errors(client):
    """Our errors are the client's exceptions, with their ids."""
    other = {"Idempotency-Key": "anthropic-buffered"}
    web_search = {"type": "web_search_20250305", "name": "web_search"}
    cases = [
        ("an unknown model", anthropic.NotFoundError, "not_found_error", {"model": "no/such-model"}),
        ("no messages", anthropic.BadRequestError, "invalid_request_error", {"messages": []}),
        ("a tool of the server", anthropic.BadRequestError, "invalid_request_error", {"tools": [web_search]}),
        ("a key with another body", anthropic.UnprocessableEntityError, "invalid_request_error", {"extra_headers": other}),
    ]
    for what, expected, kind, arguments in cases:
        try:
            client.messages.create(**{**ASKED, **arguments})
            expect(what, "an answer", expected.__name__)
        except anthropic.APIStatusError as error:
            expect(what, type(error), expected)
            expect(f"{what}: its type", error.body["error"]["type"], kind)
            expect(f"{what}: the request id", bool(error.request_id), True)
            expect(f"{what}: the same id", error.body["request_id"], error.request_id)
    for what, ask in [
        ("a wrong key", lambda wrong: wrong.messages.create(**ASKED)),
        ("a wrong key for models", lambda wrong: wrong.models.list()),
    ]:
        try:
            ask(client.with_options(api_key="wrong"))
            expect(what, "an answer", "AuthenticationError")
        except anthropic.AuthenticationError as error:
            expect(f"{what}: its type", error.body["error"]["type"], "authentication_error")
    try:
        list(client.messages.create(**ASKED, stream=True, extra_body={"echo_fail_after": 3}))
        expect("a stream that breaks", "a stream", "APIStatusError")
    except anthropic.APIStatusError as error:
        expect("a stream that breaks: its code", error.body["error"]["code"], "upstream_error")
    say("errors arrive as the client's own exceptions")


def check_left(client):
    """A stream is left, and gone on with behind its last event by its number."""
    headers = {"Idempotency-Key": "anthropic-left"}
    create = client.messages.with_streaming_response.create
    slow = {**ASKED, "stream": True, "extra_body": {"echo_delay_ms": 40}}
    with create(**slow, extra_headers=headers) as response:
        lines, seen = response.iter_lines(), []
        while len([line for line in seen if line.startswith("id:")]) < 4:
            seen.append(next(lines))
    last = [line for line in seen if line.startswith("id:")][-1].removeprefix("id:").strip()
    rest = list(client.messages.create(**slow, extra_headers={**headers, "Last-Event-ID": last}))
    whole = list(client.messages.create(**slow, extra_headers=headers))
    expect("what comes behind the event", rest, whole[int(last) + 1 :])
    say(f"left after event {last}: {len(rest)} more behind it")
