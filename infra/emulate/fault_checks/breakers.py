"""Breakers: who fails is left alone for some seconds, and /v1/providers says so."""

import time

from fault_checks import matrix
from fault_checks.matrix import Job
from http_client import request

REFUSED = 5  # more than the connections that fail before nobody tries any more
FAILING = 5  # requests in a minute, of which half must fail
HALF_OPEN_AFTER_S = 6  # a little more than the first pause


def check(running, upstreams):
    """What deviates."""
    return [*failing(running, upstreams), *unauthorized(running, upstreams), *refused(running), *healed(running, upstreams)]


def ask(running, model, body=None):
    """One request, without a client of anybody's."""
    told = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **(body or {})}
    return request("POST", f"{running.url}/v1/chat/completions", told, {"authorization": f"Bearer {running.key}"})


def state(running, model):
    """The state of the model's breaker, as GET /v1/providers tells it."""
    providers = request("GET", f"{running.url}/v1/providers", None, {"authorization": f"Bearer {running.key}"}).json()
    for provider in providers["data"]:
        for entry in provider["models"]:
            if entry["id"] == model:
                return entry["breaker"]["state"]
    return "not listed"


def failing(running, upstreams):
    """A model that fails five times in a minute is left alone; as the only one it is still tried, once more at most."""
    model = "openai/503.breaker"
    job = Job("-", "chat", "openai", "breaker-503")
    for _ in range(FAILING):
        ask(running, model)
    if (found := state(running, model)) != "open":
        yield job, "breaker", "open", found
    made = len(upstreams.calls[model])
    answer = ask(running, model)
    again = len(upstreams.calls[model]) - made
    if answer.status != 502 or again not in (1, 2):
        yield job, "calls of an open breaker", (502, "1 or 2"), (answer.status, again)
    # The clients' own retries must not make it more than one request may cause.
    for client, surface in (("openai-python-3", "chat"), ("openai-python-2", "chat"), ("openai-node", "chat"), ("anthropic-python", "messages"), ("anthropic-node", "messages")):
        asked = Job(client, surface, "openai", "503", retries=None, note="-open")
        for _ in range(FAILING):
            ask(running, asked.key)
        made = len(upstreams.calls[asked.key])
        outcome = matrix.run(running, [asked])[asked.key]
        again = len(upstreams.calls[asked.key]) - made
        if again > 4:
            yield asked, "calls of an open breaker", "at most 4", again
        if not outcome["error"] or outcome["error"]["class"] != "InternalServerError":
            yield asked, "class", "InternalServerError", outcome["error"]


def unauthorized(running, upstreams):
    """One refusal of our key is enough."""
    for scenario in ("401", "402"):
        model = f"anthropic/{scenario}.breaker"
        ask(running, model)
        if (found := state(running, model)) != "open":
            yield Job("-", "chat", "anthropic", f"breaker-{scenario}"), "breaker", "open", found
        if len(upstreams.calls[model]) != 1:
            yield Job("-", "chat", "anthropic", f"breaker-{scenario}"), "calls", 1, len(upstreams.calls[model])


def refused(running):
    """A provider whose address refuses connections: an error of the network, and soon an open breaker."""
    model = "groq/any"
    job = Job("-", "chat", "groq", "breaker-refused")
    answers = [ask(running, model) for _ in range(REFUSED)]
    told = {(answer.status, answer.json()["error"]["code"], answer.json()["error"]["category"]) for answer in answers}
    if told != {(502, "network_error", "NETWORK_ERROR")}:
        yield job, "error", (502, "network_error", "NETWORK_ERROR"), told
    if (found := state(running, model)) != "open":
        yield job, "breaker", "open", found


def healed(running, upstreams):
    """A model that is well again is asked again: 4 failures, then good answers, and no more pauses."""
    model = "openai/500-once.breaker"
    for _ in range(3):
        if ask(running, model).status != 200:
            yield Job("-", "chat", "openai", "breaker-healed"), "status", 200, "an error"
    if (found := state(running, model)) not in ("closed", "not listed"):
        yield Job("-", "chat", "openai", "breaker-healed"), "breaker", "closed", found
    # A request with another model beside goes there at once.
    began, made = time.monotonic(), len(upstreams.calls["openai/503.breaker"])
    answer = ask(running, "openai/503.breaker", {"models": ["openai/503.breaker", "openai/ok.breaker"]})
    again = len(upstreams.calls["openai/503.breaker"]) - made
    if answer.status == 200 and (again or time.monotonic() - began > 1):
        yield Job("-", "chat", "openai", "breaker-fallback"), "calls of an open breaker", 0, again
