"""Embeddings, in the encoding that the client asks for by itself and in the other one."""

import math

import openai

from client_checks import MODEL
from http_client import expect
from processes import say

EMBEDDER = "local/hash-embedding"
TEXTS = ["How do I reset my password?", "password reset", "It is sunny in Berlin."]


def check_embeddings(client):
    """The same vectors in both encodings; like texts nearer than others; errors as the client's exceptions."""
    listed = {model.id: model for model in client.models.list()}
    expect("the embedder's mode", listed[EMBEDDER].mode, "embedding")
    # Left to itself the client asks for base64 and decodes it.
    raw = client.embeddings.with_raw_response.create(model=EMBEDDER, input=TEXTS)
    expect("base64 comes over the wire", raw.content.count(b'"embedding":"'), len(TEXTS))
    expect("the model's header", raw.headers.get("turnwise-model"), EMBEDDER)
    usual = raw.parse()
    floats = client.embeddings.create(model=EMBEDDER, input=TEXTS, encoding_format="float")
    expect("its object", usual.object, "list")
    expect("its indexes", [item.index for item in usual.data], [0, 1, 2])
    expect("its length", len(usual.data[0].embedding), listed[EMBEDDER].dimensions)
    expect("it counts tokens", usual.usage.total_tokens > 0, True)
    for one, other in zip(usual.data, floats.data):
        same = all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip(one.embedding, other.embedding, strict=True))
        expect(f"vector {one.index} is the same in both encodings", same, True)

    asked, like, other = (item.embedding for item in usual.data)
    expect("like texts are nearer than others", likeness(asked, like) > likeness(asked, other), True)
    short = client.embeddings.create(model=EMBEDDER, input="hello", dimensions=8)
    expect("the length asked for", len(short.data[0].embedding), 8)
    check_refused(client)
    say(f"embeddings: {len(usual.data)} vectors of {len(asked)} numbers, as base64 and as floats")


def likeness(one, other):
    """The cosine of two vectors of length 1."""
    return sum(a * b for a, b in zip(one, other, strict=True))


def check_refused(client):
    """A model that makes none, and inputs that are none."""
    cases = [
        ("a model for chats", openai.NotFoundError, {"model": MODEL, "input": "hello"}),
        ("an empty text", openai.BadRequestError, {"model": EMBEDDER, "input": ["hello", ""]}),
        ("token ids", openai.BadRequestError, {"model": EMBEDDER, "input": [1, 2, 3]}),
    ]
    for what, expected, arguments in cases:
        try:
            client.embeddings.create(**arguments)
            expect(what, "an answer", expected.__name__)
        except openai.APIStatusError as error:
            expect(what, type(error), expected)
