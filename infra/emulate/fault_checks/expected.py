"""What must come of each scenario, and how that shows in each client."""

import dataclasses
import fnmatch
import json

from fault_checks import formats
from fault_checks.formats import CLOCK, TEXT, WEATHER
from fault_checks.matrix import CLIENTS
from fault_checks.scenarios import BIG_EVENT_BYTES
from upstreams import KEYS

FIRST_WORD_S = 2  # that a stream waits for its first word before it begins
MOST_CALLS = 4  # of an upstream for one request, whatever is retried by whom
USAGE = [
    formats.INPUT_TOKENS,
    formats.OUTPUT_TOKENS,
    formats.INPUT_TOKENS + formats.OUTPUT_TOKENS,
    formats.CACHED_TOKENS,
]

# Deviations that are known: patterns of what deviates, the scenario, the provider, the client and the surface, with the
# reason. The run names those that it no longer finds.
KNOWN = {
    (
        "exception",
        "tools-odd",
        "openai",
        "openai-*",
        "chat-helper",
    ): "indexes of tool calls that do not count from 0 reach "
    "the client as they are, and its helper cannot put them together",
    (
        "usage",
        "no-usage",
        "*",
        "openai-*",
        "chat*",
    ): "a completion whose upstream counts no tokens has no usage, not even an "
    "estimated one, as the other surfaces have",
    ("category", "*", "*", "openai-*", "responses-stream"): "the error event of a response's stream names no category",
    (
        "retry-after",
        "429-1h",
        "*",
        "*",
        "*",
    ): "how long the provider wants to be left alone is not told when it is longer than a minute",
    (
        "calls",
        "429-1h",
        "*",
        "*",
        "*",
    ): "a provider that wants to be left alone for an hour is asked three more times at once",
    (
        "order of the properties",
        "*",
        "[ag]*",
        "*",
        "*",
    ): "the properties of a schema come to Anthropic and Gemini in the order "
    "of their names; models write them in the order of the schema",
    (
        "start-usage",
        "ok",
        "anthropic",
        "anthropic-*",
        "messages-*",
    ): "message_start says that there were no input tokens, although the upstream's says how many",
}


@dataclasses.dataclass(frozen=True)
class Expected:
    """What comes of a request: an answer, an error with a status, or an error in mid-stream (status 200)."""

    calls: tuple = (1, 1)
    status: int | None = None
    codes: tuple = ()
    category: str | None = None
    retryable: bool | None = None
    text: str = TEXT
    refusal: str = ""
    tools: tuple = ()
    finish: str = "stop"
    usage: list | None = dataclasses.field(default_factory=lambda: USAGE)
    least_s: float = 0


def answer(**how):
    """The whole answer."""
    return Expected(**how)


def fail(status, code, category, calls=(1, 1), retryable=False):
    """An error before the first word; `code` may name several that will do."""
    codes = (code,) if isinstance(code, str) else code
    return Expected(calls=calls, status=status, codes=codes, category=category, retryable=retryable)


def broken(code, category, retryable=True):
    """An error in mid-stream, behind some of the text. Nothing is asked a second time."""
    codes = (code,) if isinstance(code, str) else code
    return Expected(status=200, codes=codes, category=category, retryable=retryable)


ALL = (MOST_CALLS, MOST_CALLS)
UPSTREAM = fail(502, "upstream_error", "API_ERROR", ALL, True)
NETWORK = fail(502, "network_error", "NETWORK_ERROR", ALL, True)
MALFORMED = fail(502, "malformed_answer", "API_ERROR", ALL, True)
LIMITED = fail(429, "rate_limit_exceeded", "RATE_LIMIT_ERROR", ALL, True)
# A call that is given up may not have been read by then.
TIMEOUT = fail(504, ("upstream_timeout", "upstream_silent"), "TIMEOUT_ERROR", (3, MOST_CALLS), True)
TRUNCATED = broken("stream_truncated", "NETWORK_ERROR")
NO_EVENTS = fail(502, ("stream_truncated", "malformed_answer"), None, ALL, True)
AUTH = fail(502, "provider_auth_failed", "AUTHENTICATION_ERROR")
LONG = fail(502, ("malformed_answer", "answer_too_long"), "API_ERROR")

# Each scenario's outcome, or a pair: buffered, streamed. What is not named here is answered well.
TABLE = {
    "tools": answer(text="", tools=(WEATHER,), finish="tool"),
    "tools-parallel": answer(tools=(WEATHER, CLOCK), finish="tool"),
    "tools-odd": answer(text="", tools=(WEATHER, CLOCK), finish="tool"),
    "length": answer(finish="length"),
    "filter": answer(finish="filter"),
    "refusal": answer(finish="refusal"),
    "no-usage": answer(usage=None),
    "500-once": answer(calls=(2, 2)),
    "429-1s": answer(calls=(2, 2), least_s=1),
    "503": UPSTREAM,
    "529": UPSTREAM,
    "429": LIMITED,
    "429-1h": dataclasses.replace(LIMITED, calls=(1, 1)),
    "400": fail(400, "invalid_request", "VALIDATION_ERROR"),
    "401": AUTH,
    "402": fail(502, "insufficient_quota", "COST_LIMIT_ERROR"),
    "403": fail(502, "provider_access_denied", "AUTHORIZATION_ERROR"),
    "404": fail(404, "model_not_found", "NOT_FOUND_ERROR"),
    "redirect": fail(502, "unexpected_redirect", "API_ERROR"),
    "hang": TIMEOUT,
    "hang-body": TIMEOUT,
    "hang-middle": (TIMEOUT, broken(("upstream_silent", "upstream_timeout"), "TIMEOUT_ERROR")),
    "reset-first": NETWORK,
    "close-first": NETWORK,
    "reset": (NETWORK, TRUNCATED),
    "close": (NETWORK, TRUNCATED),
    "cut": (MALFORMED, TRUNCATED),
    "no-finish": (answer(), TRUNCATED),
    "error-in-200": UPSTREAM,
    "error-first": UPSTREAM,
    "error-event": (UPSTREAM, broken("upstream_error", "API_ERROR")),
    "rubbish": MALFORMED,
    "rubbish-middle": (MALFORMED, broken("malformed_answer", "API_ERROR")),
    # What is no UTF-8 becomes replacement characters, as the standard of event streams has it.
    "bad-utf8": (answer(), answer(text=TEXT.replace("世", "\ufffd\ufffd"))),
    "empty": (MALFORMED, NO_EVENTS),
    "empty-stream": (MALFORMED, NO_EVENTS),
    "html": (MALFORMED, NO_EVENTS),
    "html-502": UPSTREAM,
    "gzip-unasked": (MALFORMED, NO_EVENTS),
    "big-event": (
        answer(text="big " + "x" * BIG_EVENT_BYTES),
        broken("malformed_answer", "API_ERROR", retryable=False),
    ),
    "endless-line": LONG,
}

FINISHES = {
    "chat": {"stop": "stop", "tool": "tool_calls", "length": "length", "filter": "content_filter"},
    "responses": {"stop": "completed", "tool": "completed", "length": "max_output_tokens", "filter": "content_filter"},
    "messages": {
        "stop": "end_turn",
        "tool": "tool_use",
        "length": "max_tokens",
        "filter": "refusal",
        "refusal": "refusal",
    },
}
STATUS_CLASSES = {400: "BadRequestError", 404: "NotFoundError", 429: "RateLimitError"}
HELPER_ERRORS = {"length": "LengthFinishReasonError", "filter": "ContentFilterFinishReasonError"}


def outcome_of(job):
    """What must come of a job."""
    found = TABLE.get(job.scenario, Expected())
    found = found[job.is_streamed] if isinstance(found, tuple) else found
    if job.scenario == "refusal":
        found = refusal_of(job)
    return found


def refusal_of(job):
    """Only OpenAI says a refusal in words of its own; elsewhere it is a filtered answer."""
    if not job.surface.startswith("messages") and job.provider == "openai":
        return answer(text="", refusal=TEXT, finish="stop")
    return answer(finish="filter")


def class_of(job, expected):
    """The class of the exception that the client raises, or None."""
    client = CLIENTS[job.client]
    is_helper = job.surface == "chat-helper"
    if expected.status is None:
        return HELPER_ERRORS.get(expected.finish) if is_helper and not client.is_node else None
    if expected.status == 200:
        return "APIStatusError" if job.client == "anthropic-python" else "APIError"
    if expected.status == 504 and job.client.startswith("anthropic"):
        return "GatewayTimeoutError"
    return STATUS_CLASSES.get(expected.status, "InternalServerError")


def deviations(job, outcome, made):
    """What deviates: triples of a word, what was expected and what was seen."""
    if job.timeout:
        return list(left_alone(outcome, made))
    expected = outcome_of(job)
    error = outcome["error"]
    name = error["class"] if error else None
    if name and ("." in name or name == "OpenAIError"):
        return [("exception", class_of(job, expected), f"{name}: {error['message'][:120]}")]
    # A stream whose first word takes long begins without it, and an error then comes as an event.
    is_late = job.is_streamed and outcome["seconds"] >= FIRST_WORD_S and error and error["status"] in (None, 200)
    if is_late and expected.status:
        expected = dataclasses.replace(expected, status=200)
    found = [("class", class_of(job, expected), name)]
    found += of_all(outcome, made, expected)
    found += of_error(job, outcome, expected) if error and expected.status else of_answer(job, outcome, expected)
    return [(what, wanted, seen) for what, wanted, seen in found if wanted != seen]


def left_alone(outcome, made):
    """An upstream that asks for a minute: the client's own patience ends first, and it is asked once more at most."""
    name = outcome["error"]["class"] if outcome["error"] else None
    if name not in ("APITimeoutError", "APIConnectionTimeoutError"):
        yield "class", "APITimeoutError", name
    if made not in (1, 2):
        yield "calls", "1 or 2", made


def of_all(outcome, made, expected):
    """What holds for answers and errors alike."""
    least, most = expected.calls
    yield "calls", expected.calls, expected.calls if least <= made <= most else made
    shown = json.dumps(outcome)
    yield "secret", [], [provider for provider, key in KEYS.items() if key in shown]
    yield "time", "no sooner", "no sooner" if outcome["seconds"] >= expected.least_s else outcome["seconds"]


def of_answer(job, outcome, expected):
    """A whole answer: nothing lost, doubled or invented."""
    surface = job.surface.split("-")[0]
    yield "text", shortened(expected.text), shortened(outcome["text"])
    if "whole" in outcome and job.surface != "chat-helper":
        yield "helper", shortened(expected.text), shortened(outcome["whole"])
    yield "refusal", expected.refusal, outcome["refusal"]
    calls = [(call["name"], json.loads(call["arguments"])) for call in outcome["calls"]]
    is_raised = outcome["error"] is not None  # by the client's helper, which then has no answer
    if not is_raised:
        yield "tools", [(call.name, json.loads(call.arguments)) for call in expected.tools], calls
        yield "finish", FINISHES[surface][expected.finish], outcome["finish"]
        yield "usage", *usage_of(expected, outcome["usage"])
    if outcome.get("start_input") is not None and job.provider == "anthropic" and job.scenario == "ok":
        yield "start-usage", formats.INPUT_TOKENS - formats.CACHED_TOKENS, outcome["start_input"]


def usage_of(expected, usage):
    """Tokens as told; where the upstream tells none, any estimate whose sum is right."""
    if expected.usage is not None:
        return expected.usage, usage
    is_estimated = bool(usage) and usage[0] > 0 and usage[1] > 0 and usage[0] + usage[1] == usage[2]
    return "an estimate", "an estimate" if is_estimated else usage


def of_error(job, outcome, expected):
    """An error: told as what it is, with all that a program needs; a cut stream is never whole."""
    error = outcome["error"]
    if expected.status != 200:
        yield "status", expected.status, error["status"]
        yield "text", "", outcome["text"]
        should_retry = error["headers"].get("x-should-retry")
        yield "x-should-retry", "false", should_retry
        yield "request id", True, bool(error["request_id"])
    yield (
        "code",
        True if error["code"] in expected.codes else expected.codes,
        error["code"] in expected.codes or error["code"],
    )
    if expected.category:
        yield "category", expected.category, error["category"]
    yield "retryable", expected.retryable, error["retryable"]
    said = "big " if job.scenario == "big-event" else TEXT
    yield "beginning", True, said.startswith(outcome["text"])
    yield "finish", None, outcome["finish"]
    if job.scenario == "429-1h":
        yield "retry-after", "3600", error["headers"].get("retry-after")


def shortened(text):
    """A long text by its length."""
    return text if len(text) < 200 else f"{text[:20]}... of {len(text)}"


def known(job, what):
    """The pattern and the reason of a deviation that is known, or None."""
    named = (what, job.scenario, job.provider, job.client, job.surface)
    for patterns, reason in KNOWN.items():
        if all(fnmatch.fnmatch(name, pattern) for name, pattern in zip(named, patterns, strict=True)):
            return patterns, reason
    return None
