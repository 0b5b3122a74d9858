"""Chat completions, whole and streamed."""

from client_checks import MESSAGES, MODEL
from http_client import expect
from processes import say


def check_buffered(client):
    """A completion and its retry with the same key: the same bytes."""
    headers = {"Idempotency-Key": "client-buffered"}
    create = client.chat.completions.with_raw_response.create
    first = create(model=MODEL, messages=MESSAGES, extra_headers=headers)
    retry = create(model=MODEL, messages=MESSAGES, extra_headers=headers)
    expect("the first is no replay", first.headers.get("idempotent-replayed") in (None, "false"), True)
    expect("the retry is a replay", retry.headers.get("idempotent-replayed"), "true")
    expect("the retry's bytes", retry.content, first.content)

    completion = first.parse()
    expect("its object", completion.object, "chat.completion")
    expect("its end", completion.choices[0].finish_reason, "stop")
    expect("it answers", bool(completion.choices[0].message.content), True)
    expect("it counts tokens", completion.usage.total_tokens > 0, True)
    expect("the client sees a request id", bool(first.headers.get("x-request-id")), True)
    say(f"buffered: {completion.choices[0].message.content!r}, and the same bytes again")
    return completion.choices[0].message.content


def check_streamed(client, expected):
    """The same request streamed: the same text in pieces, its usage at the end; and again from the store."""
    for attempt in ["streamed", "streamed again"]:
        pieces, usage = [], None
        stream = client.chat.completions.create(
            model=MODEL,
            messages=MESSAGES,
            stream=True,
            stream_options={"include_usage": True},
            extra_headers={"Idempotency-Key": "client-streamed"},
        )
        for chunk in stream:
            pieces += [choice.delta.content for choice in chunk.choices if choice.delta.content]
            usage = chunk.usage or usage
        expect(f"{attempt}: the text", "".join(pieces), expected)
        expect(f"{attempt}: the usage", usage is not None and usage.total_tokens > 0, True)
        say(f"{attempt}: {len(pieces)} pieces")
