"""A small HTTP client that keeps what the checks look at: status, headers and the exact bytes."""

import dataclasses
import http.client
import json
import sys
import time
import urllib.parse

TIMEOUT_S = 60  # between two pieces of an answer


@dataclasses.dataclass
class Answer:
    """An HTTP answer, read to its end."""

    status: int
    headers: dict
    body: bytes

    def json(self):
        """The body, parsed."""
        return json.loads(self.body)


def request(method, url, body=None, headers=None, on_chunk=None, cut_after=None):
    """Sends one request. `body` is bytes, or a value sent as JSON; `on_chunk` gets each piece of the body as it comes.

    After `cut_after` whole events of a stream its connection is cut.
    """
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
    payload = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, payload, {"content-type": "application/json", **(headers or {})})
        response = connection.getresponse()
        received = b""
        while chunk := response.read1(65536):
            received += chunk
            if on_chunk:
                on_chunk(time.monotonic(), chunk)
            if cut_after is not None and len(sse_data(whole_events(received))) >= cut_after:
                break
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, received)
    finally:
        connection.close()


def expect(what, actual, expected):
    """Ends the script unless the two are equal."""
    if actual != expected:
        sys.exit(f"error: {what}: expected {expected!r}, got {actual!r}")


def whole_events(body):
    """An SSE body without an event that its end cuts off."""
    end = body.replace(b"\r\n", b"\n").rfind(b"\n\n")
    return body.replace(b"\r\n", b"\n")[: end + 2] if end >= 0 else b""


def sse_data(body):
    """The data of each event of an SSE body, in order."""
    events = body.decode().replace("\r\n", "\n").split("\n\n")
    lines = (line for event in events for line in event.split("\n"))
    return [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]


def sse_ids(body):
    """The ids of an SSE body's events, in order."""
    lines = body.decode().replace("\r\n", "\n").split("\n")
    return [int(line.removeprefix("id:")) for line in lines if line.startswith("id:")]
