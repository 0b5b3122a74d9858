"""The official OpenAI client against the local runner: only the base URL and the key are changed.

    python infra/emulate/openai_client.py
"""

import openai

from http_client import expect
from local import local
from processes import say

MODEL = "local/echo"
MESSAGES = [{"role": "user", "content": "the quick brown fox"}]


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


def check_errors(client):
    """Our errors are the client's exceptions."""
    cases = [
        ("an unknown model", openai.NotFoundError, {"model": "no/such-model", "messages": MESSAGES}),
        ("no messages", openai.BadRequestError, {"model": MODEL, "messages": []}),
    ]
    for what, expected, arguments in cases:
        try:
            client.chat.completions.create(**arguments)
            expect(what, "an answer", expected.__name__)
        except openai.APIStatusError as error:
            expect(what, type(error), expected)
            expect(f"{what}: the request id", bool(error.request_id), True)
    headers = {"Idempotency-Key": "client-buffered"}
    try:
        other = [{"role": "user", "content": "another message"}]
        client.chat.completions.create(model=MODEL, messages=other, extra_headers=headers)
        expect("a key with another body", "an answer", "UnprocessableEntityError")
    except openai.UnprocessableEntityError:
        pass
    try:
        client.with_options(api_key="wrong").models.list()
        expect("a wrong key", "an answer", "AuthenticationError")
    except openai.AuthenticationError:
        pass
    say("errors arrive as the client's own exceptions")


def main():
    with local("openai-client") as running:
        client = openai.OpenAI(base_url=f"{running.url}/v1", api_key=running.key, max_retries=0, timeout=30)
        ids = [model.id for model in client.models.list()]
        expect("local/echo is listed", MODEL in ids, True)
        say(f"{len(ids)} models")
        text = check_buffered(client)
        check_streamed(client, text)
        check_errors(client)


if __name__ == "__main__":
    main()
