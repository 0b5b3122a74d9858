"""What an upstream does for a model whose name begins with a scenario's: a list of bytes and deeds for each call."""

import dataclasses
import gzip
import json

from fault_checks import formats
from fault_checks.formats import CLOCK, WEATHER, Answer

RESET, CLOSE, HANG = "reset", "close", "hang"  # deeds; a number pauses for so many seconds
SLOW_S = 0.2  # between two tokens
BIG_EVENT_BYTES = 2 * 1024 * 1024
ENDLESS_BYTES = 64 * 1024 * 1024  # where an endless line ends, if nobody hangs up before
CHUNK = b"x" * 65536
REASONS = {200: "OK", 302: "Found", 429: "Too Many Requests", 529: "Overloaded"}
SCENARIOS = {}
SOMETHING = Answer()


@dataclasses.dataclass
class Request:
    """A call of an upstream. `number` counts those for the same model from 1."""

    provider: str
    model: str
    stream: bool
    number: int
    headers: dict
    body: dict

    @property
    def scenario(self):
        """The name of the scenario: a model is called scenario.anything."""
        return self.model.split(".", 1)[0]


def plan(request):
    """What the upstream does for this call; a model of no scenario is not found."""
    return SCENARIOS.get(request.scenario, _statuses(404))(request)


def scenario(name):
    """Registers a function under the name of a scenario."""

    def register(function):
        SCENARIOS[name] = function
        return function

    return register


# How answers are put into bytes.


def head(status, headers):
    """A status line and headers."""
    lines = [
        f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def document(status, body, headers=None):
    """A whole answer: a dictionary as JSON, or bytes."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    base = {"content-type": "application/json", "content-length": len(payload), "x-request-id": "mock-request"}
    return [head(status, {**base, **(headers or {})}), payload]


def failure(request, status, headers=None):
    """An answer with an error's status, in the words of the provider."""
    return document(status, formats.error(request.provider, status), headers)


def sse(event, line_end="\n", space=" ", name=True):
    """One event of a stream as bytes."""
    kind, data = event
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    lines = [f"event: {kind}"] if kind and name else []
    lines += [f"data:{space}{line}" for line in text.split("\n")]
    return (line_end.join(lines) + 2 * line_end).encode()


def chunked(data):
    """A piece of a body whose length is not known beforehand."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n" if data else b""


STREAM_HEADERS = {"content-type": "text/event-stream", "transfer-encoding": "chunked", "x-request-id": "mock-request"}
LAST_CHUNK = b"0\r\n\r\n"


def stream(pieces, headers=None, end=(LAST_CHUNK,)):
    """A streamed answer: bytes, each a chunk of the body, and deeds; then `end`."""
    steps = [chunked(piece) if isinstance(piece, bytes) else piece for piece in pieces]
    return [head(200, {**STREAM_HEADERS, **(headers or {})}), *steps, *end]


def good(request, answer=SOMETHING, encode=sse, change=None, end=(LAST_CHUNK,)):
    """The answer, whole or as a stream, as the request wants it; `change` alters the list of a stream's pieces."""
    if not request.stream:
        return document(200, formats.whole(request.provider, answer, request.model))
    pieces = [encode(event) for event in formats.events(request.provider, answer, request.model)]
    return stream(change(pieces) if change else pieces, end=end)


def half(request):
    """The pieces of a stream up to its middle, after some of the text."""
    pieces = [sse(event) for event in formats.events(request.provider, SOMETHING, request.model)]
    return pieces[: len(pieces) // 2]


def _answers(**how):
    return lambda request: good(request, **how)


def _statuses(*statuses, headers=None):
    """Errors, one for each call, the last one for ever; 200 is a good answer."""

    def answer(request):
        status = statuses[min(request.number, len(statuses)) - 1]
        return good(request) if status == 200 else failure(request, status, headers)

    return answer


# Good answers of every kind.

SCENARIOS |= {
    "ok": _answers(),
    "tools": _answers(answer=Answer(pieces=(), calls=(WEATHER,))),
    "tools-parallel": _answers(answer=Answer(calls=(WEATHER, CLOCK))),
    "tools-odd": _answers(answer=Answer(pieces=(), calls=(WEATHER, CLOCK), odd_indexes=True)),
    "refusal": _answers(answer=Answer(finish="refusal")),
    "length": _answers(answer=Answer(finish="length")),
    "filter": _answers(answer=Answer(finish="filter")),
    "no-usage": _answers(answer=Answer(usage=0)),
    "usage-twice": _answers(answer=Answer(usage=2)),
}

# Statuses.

SCENARIOS |= {
    "500-once": _statuses(500, 200),
    "503": _statuses(503),
    "529": _statuses(529),
    "429-1s": _statuses(429, 200, headers={"retry-after": "1"}),
    "429-60s": _statuses(429, 200, headers={"retry-after": "60"}),
    "429-1h": _statuses(429, headers={"retry-after": "3600"}),
    "429": _statuses(429),
    "400": _statuses(400),
    "401": _statuses(401),
    "402": _statuses(402),
    "403": _statuses(403),
    "404": _statuses(404),
}


@scenario("redirect")
def redirect(request):
    """A key must not follow to another place."""
    return document(302, b"", {"location": f"/elsewhere?model={request.model}"})


# Silence, and connections that break.


@scenario("hang")
def hang(_request):
    """Never answers."""
    return [HANG]


@scenario("hang-body")
def hang_body(request):
    """Sends headers, then nothing."""
    if request.stream:
        return [head(200, STREAM_HEADERS), HANG]
    return [head(200, {"content-type": "application/json", "content-length": 100}), HANG]


@scenario("hang-middle")
def hang_middle(request):
    """Falls silent in mid-stream."""
    if request.stream:
        return stream([*half(request), HANG])
    whole = document(200, formats.whole(request.provider, SOMETHING, request.model))
    return [whole[0], whole[1][:50], HANG]


@scenario("slow")
def slow(request):
    """Pauses before each event, and so longer than the time between two tokens in all."""
    return good(request, change=lambda pieces: [step for piece in pieces for step in (SLOW_S, piece)])


@scenario("reset-first")
def reset_first(_request):
    """Breaks the connection instead of an answer."""
    return [RESET]


@scenario("close-first")
def close_first(_request):
    """Ends the connection instead of an answer."""
    return [CLOSE]


def _broken(deed):
    """Half of the answer, then a deed."""

    def answer(request):
        if request.stream:
            return stream([*half(request), 0.05], end=[deed])
        whole = document(200, formats.whole(request.provider, SOMETHING, request.model))
        return [whole[0], whole[1][:100], 0.05, deed]

    return answer


SCENARIOS |= {"reset": _broken(RESET), "close": _broken(CLOSE)}


@scenario("cut")
def cut(request):
    """The body ends well, in the middle of the answer."""
    if request.stream:
        return stream(half(request))
    return document(200, json.dumps(formats.whole(request.provider, SOMETHING, request.model)).encode()[:100])


@scenario("no-done")
def no_done(request):
    """The finish is said; what comes behind it, [DONE] or message_stop, is not."""
    drop = 0 if request.provider == "gemini" else 1
    return good(request, change=lambda pieces: pieces[: len(pieces) - drop])


@scenario("no-finish")
def no_finish(request):
    """[DONE] or message_stop comes, but no reason why the answer ends."""
    last = {"openai": ['"finish_reason": "stop"'], "anthropic": ["message_delta"], "gemini": ["finishReason"]}
    marks = [mark.encode() for mark in last[request.provider]]
    return good(request, change=lambda pieces: [piece for piece in pieces if not any(mark in piece for mark in marks)])


# Bytes that are hard to read, and yet right.


def _styled(**how):
    return _answers(encode=lambda event: sse(event, **how))


@scenario("bytewise")
def bytewise(request):
    """One byte a chunk, so that characters, line ends and names are cut; many chunks go in one piece."""
    steps = good(request)
    if not request.stream:
        return steps
    body = b"".join(sse(event) for event in formats.events(request.provider, SOMETHING, request.model))
    chunks = [chunked(body[at : at + 1]) for at in range(len(body))]
    return [steps[0], *(b"".join(chunks[at : at + 100]) for at in range(0, len(chunks), 100)), LAST_CHUNK]


def _commented(pieces):
    """Comments before each event: some with a line end of their own, one right at the event."""
    return [part for piece in pieces for part in (b": PROCESSING\n\n", b":\n", piece)]


def _multiline(event):
    """The JSON of each event over several data lines."""
    kind, data = event
    return sse((kind, data if isinstance(data, str) else json.dumps(data, indent=1, ensure_ascii=False)))


SCENARIOS |= {
    "crlf": _styled(line_end="\r\n"),
    "cr": _styled(line_end="\r"),
    "no-space": _styled(space=""),
    "no-names": _styled(name=False),
    "bom": _answers(change=lambda pieces: [b"\xef\xbb\xbf", *pieces]),
    "comments": _answers(change=_commented),
    "one-chunk": _answers(change=lambda pieces: [b"".join(pieces)]),
    "multiline": _answers(encode=_multiline),
}


@scenario("gzip")
def gzipped(request):
    """Compressed, where the caller says that it reads that."""
    steps = good(request)
    if "gzip" not in request.headers.get("accept-encoding", "") or request.stream:
        return steps
    return document(200, gzip.compress(steps[1]), {"content-encoding": "gzip"})


@scenario("plain-type")
def plain_type(request):
    """A good answer under the wrong content type."""
    steps = good(request)
    for kind in (b"application/json", b"text/event-stream"):
        steps[0] = steps[0].replace(kind, b"text/plain")
    return steps


# Bytes that are wrong.


@scenario("error-in-200")
def error_in_200(request):
    """An error where the status says that all is well."""
    return document(200, formats.error(request.provider, 503))


@scenario("error-event")
def error_event(request):
    """An error in mid-stream."""
    if not request.stream:
        return error_in_200(request)
    status = {"openai": 500, "anthropic": 529, "gemini": 503}[request.provider]
    body = formats.error(request.provider, status)
    return stream([*half(request), sse(("error" if request.provider == "anthropic" else None, body))])


@scenario("error-first")
def error_first(request):
    """An error instead of a stream's first event."""
    if not request.stream:
        return error_in_200(request)
    body = formats.error(request.provider, 503)
    return stream([sse(("error" if request.provider == "anthropic" else None, body))])


@scenario("rubbish")
def rubbish(request):
    """No JSON at all."""
    if request.stream:
        return stream([b"data: {not json\n\n", b"data: [DONE]\n\n"])
    return document(200, b"{not json")


@scenario("rubbish-middle")
def rubbish_middle(request):
    """One event is not JSON, and the stream goes on behind it."""
    if not request.stream:
        return rubbish(request)
    return good(request, change=lambda pieces: [*pieces[:4], b'data: {"cho\n\n', *pieces[5:]])


@scenario("bad-utf8")
def bad_utf8(request):
    """A byte that is no UTF-8 in the text."""
    return good(request, change=lambda pieces: [piece.replace("世".encode(), b"\xe4\xb8\xff") for piece in pieces])


@scenario("empty")
def empty(_request):
    """Nothing, with 200."""
    return document(200, b"")


@scenario("empty-stream")
def empty_stream(request):
    """A stream of nothing but its end."""
    if not request.stream:
        return document(200, b"{}")
    return stream([b"data: [DONE]\n\n"] if request.provider == "openai" else [b": nothing\n\n"])


@scenario("html")
def html(_request):
    """The page of some proxy, with 200."""
    return document(200, b"<html><body>Welcome to nginx!</body></html>", {"content-type": "text/html"})


@scenario("html-502")
def html_502(_request):
    """The page of some proxy, with 502."""
    return document(502, b"<html><body>502 Bad Gateway</body></html>", {"content-type": "text/html"})


@scenario("no-stream")
def no_stream(request):
    """A whole answer although a stream was asked for."""
    return document(200, formats.whole(request.provider, SOMETHING, request.model))


@scenario("gzip-unasked")
def gzip_unasked(request):
    """Compressed, although nobody asked."""
    body = json.dumps(formats.whole(request.provider, SOMETHING, request.model)).encode()
    return document(200, gzip.compress(body), {"content-encoding": "gzip"})


@scenario("big-event")
def big_event(request):
    """An event of 2 MB in a stream, or a text of that size."""
    answer = Answer(pieces=("big ", "x" * BIG_EVENT_BYTES))
    return good(request, answer=answer)


@scenario("endless-line")
def endless_line(request):
    """A line that does not end before somebody hangs up."""
    steps = [CHUNK] * (ENDLESS_BYTES // len(CHUNK))
    if request.stream:
        return stream([b"data: {", *steps])
    length = 8 + ENDLESS_BYTES
    return [head(200, {"content-type": "application/json", "content-length": length}), b'{"text":"', *steps]
