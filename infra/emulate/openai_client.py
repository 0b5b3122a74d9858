"""The official OpenAI client against the local runner: only the base URL and the key are changed.

    python infra/emulate/openai_client.py
"""

import time

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


def check_responses(client):
    """Responses that follow one another, read back, listed and deleted."""
    create = client.responses.with_raw_response.create
    arguments = {"model": MODEL, "input": "the quick brown fox", "extra_headers": {"Idempotency-Key": "client-response"}}
    first, retry = create(**arguments), create(**arguments)
    expect("a response's retry is a replay", retry.headers.get("idempotent-replayed"), "true")
    expect("a response's retry's bytes", retry.content, first.content)
    response = first.parse()
    expect("its status", (response.status, response.error, response.incomplete_details), ("completed", None, None))
    expect("it answers", bool(response.output_text), True)
    expect("it counts tokens", response.usage.total_tokens > 0, True)

    following = client.responses.create(model=MODEL, input="and then?", previous_response_id=response.id)
    expect("what it follows", following.previous_response_id, response.id)
    expect("it is read back", client.responses.retrieve(following.id), following)
    items = client.responses.input_items.list(following.id)
    expect("its input", [item.content[0].text for item in items], ["and then?"])
    fork = client.responses.create(model=MODEL, input="or else?", previous_response_id=response.id)
    expect("a fork answers", fork.status, "completed")

    client.responses.delete(following.id)
    for what, gone in [("a deleted response", following.id), ("no response", "resp_none")]:
        try:
            client.responses.retrieve(gone)
            expect(what, "an answer", "NotFoundError")
        except openai.NotFoundError as error:
            expect(f"{what}: the code", error.code, "response_not_found")
    say(f"responses: {response.output_text!r}, followed, forked, listed and deleted")


def check_background(client):
    """Responses made in the background: read until they are whole, and cancelled."""
    response = client.responses.create(model=MODEL, input="take your time", background=True)
    expect("it is accepted", response.status in ("queued", "in_progress", "completed"), True)
    began = time.monotonic()
    while response.status != "completed":
        expect("it is at work", response.status in ("queued", "in_progress"), True)
        expect("it ends in time", time.monotonic() - began < 20, True)
        time.sleep(0.1)
        response = client.responses.retrieve(response.id)
    expect("it answers", bool(response.output_text), True)
    try:
        client.responses.cancel(response.id)
        expect("cancelling a whole response", "an answer", "BadRequestError")
    except openai.BadRequestError:
        pass

    # The echo may be as quick as we are: what counts is that the two agree.
    response = client.responses.create(model=MODEL, input="never mind " * 2000, background=True)
    try:
        expect("a cancelled response", client.responses.cancel(response.id).status, "cancelled")
        expect("it stays so", client.responses.retrieve(response.id).status, "cancelled")
        say("background: one made, one cancelled")
    except openai.BadRequestError:
        expect("it was whole already", client.responses.retrieve(response.id).status, "completed")
        say("background: one made, one made before it was cancelled")


def check_conversation(client):
    """A response of a conversation, where there are any."""
    try:
        conversation = client.conversations.create()
    except openai.NotFoundError:
        say("conversations: not served")
        return
    response = client.responses.create(model=MODEL, input="hello", conversation=conversation.id)
    expect("its conversation", response.conversation.id, conversation.id)
    items = client.conversations.items.list(conversation.id)
    expect("what was said is there", len(list(items)), 2)
    say("conversations: a response is part of one")


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
        check_responses(client)
        check_background(client)
        check_conversation(client)
        check_errors(client)


if __name__ == "__main__":
    main()
