"""Responses: made, followed, read back, made in the background; and conversations of them."""

import time
import warnings

import openai

from client_checks import MODEL
from http_client import expect
from processes import say


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


def check_short(client):
    """Tokens are counted before they are sent, and a conversation made short."""
    counted = client.responses.input_tokens.count(model=MODEL, input="the quick brown fox")
    expect("tokens are counted", counted.input_tokens > 0, True)
    first = client.responses.create(model=MODEL, input="My name is Ada.")
    second = client.responses.create(model=MODEL, input="And yours?", previous_response_id=first.id)
    short = client.responses.compact(model=MODEL, previous_response_id=second.id)
    expect("what is left", [item.type for item in short.output][-1], "compaction")
    question = {"role": "user", "content": "What is my name?"}
    with warnings.catch_warnings():
        # The client has no class of its own for what users said in an output.
        warnings.simplefilter("ignore")
        following = client.responses.create(model=MODEL, input=[*short.output, question])
    expect("it is gone on with", following.output_text, "Echo: What is my name?")
    say(f"short: {counted.input_tokens} tokens counted, two turns made {len(short.output)} items")
