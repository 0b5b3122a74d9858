"""Breakers: who fails is left alone for some seconds, and /v1/providers says so."""

import time

from fault_checks import matrix
from fault_checks.expected import MOST_CALLS
from fault_checks.matrix import Job
from http_client import request

REFUSED = 5  # more than the connections that fail before nobody tries any more
NOTED_WITHIN_S = 1
FAILING = 5  # requests in a minute, of which half must fail


def check(running, upstreams):
    """What deviates."""
    return [
        *failing(running, upstreams),
        *unauthorized(running, upstreams),
        *refused(running),
        *healed(running, upstreams),
    ]


def ask(running, model, headers=None):
    """One request, without a client of anybody's."""
    told = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    sent = {"authorization": f"Bearer {running.key}", **(headers or {})}
    return request("POST", f"{running.url}/v1/chat/completions", told, sent)


def state(running, model, wanted):
    """The state of the model's breaker; `wanted` is waited for, as a call is noted behind its answer."""
    deadline = time.monotonic() + NOTED_WITHIN_S
    while (seen := state_now(running, model)) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    return seen


def state_now(running, model):
    """The state as GET /v1/providers tells it; a model that nothing is known of is not listed."""
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
    if (found := state(running, model, "open")) != "open":
        yield job, "breaker", "open", found
    # Who names another model goes there at once.
    began, made = time.monotonic(), len(upstreams.calls[model])
    answer = ask(running, model, {"Turnwise-Fallback-Models": "openai/ok.breaker"})
    seen = answer.status, len(upstreams.calls[model]) - made, time.monotonic() - began < 1
    if seen != (200, 0, True):
        yield job, "status, calls, at once", (200, 0, True), seen
    made = len(upstreams.calls[model])
    answer = ask(running, model)
    again = len(upstreams.calls[model]) - made
    if answer.status != 502 or again not in (1, 2):
        yield job, "calls of an open breaker", (502, "1 or 2"), (answer.status, again)
    # The clients' own retries must not make it more than one request may cause.
    jobs = [Job(client.name, client.surfaces[0], "openai", "503", None, "-open") for client in matrix.CLIENTS.values()]
    for asked in jobs:
        for _ in range(FAILING):
            ask(running, asked.key)
    before = {asked.key: len(upstreams.calls[asked.key]) for asked in jobs}
    for key, outcome in matrix.run(running, jobs).items():
        [asked] = [job for job in jobs if job.key == key]
        again = len(upstreams.calls[key]) - before[key]
        if again > MOST_CALLS:
            yield asked, "calls of an open breaker", f"at most {MOST_CALLS}", again
        if not outcome["error"] or outcome["error"]["class"] != "InternalServerError":
            yield asked, "class", "InternalServerError", outcome["error"]


def unauthorized(running, upstreams):
    """One refusal of our key is enough."""
    for scenario in ("401", "402"):
        model = f"anthropic/{scenario}.breaker"
        ask(running, model)
        if (found := state(running, model, "open")) != "open":
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
    if (found := state(running, model, "open")) != "open":
        yield job, "breaker", "open", found


def healed(running, upstreams):
    """One failure among good answers opens nothing."""
    model = "openai/500-once.breaker"
    for _ in range(3):
        if ask(running, model).status != 200:
            yield Job("-", "chat", "openai", "breaker-healed"), "status", 200, "an error"
    if (found := state(running, model, "closed")) not in ("closed", "not listed"):
        yield Job("-", "chat", "openai", "breaker-healed"), "breaker", "closed", found
