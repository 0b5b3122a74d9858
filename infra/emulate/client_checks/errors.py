"""Our errors as the client's exceptions."""

import openai

from client_checks import MESSAGES, MODEL
from http_client import expect
from processes import say


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
