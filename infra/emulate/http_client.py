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


def request(method, url, body=None, headers=None, on_chunk=None):
    """Sends one request. `body` is bytes, or a value sent as JSON; `on_chunk` gets each piece of the body as it comes."""
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
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, received)
    finally:
        connection.close()


def expect(what, actual, expected):
    """Ends the script unless the two are equal."""
    if actual != expected:
        sys.exit(f"error: {what}: expected {expected!r}, got {actual!r}")


def sse_data(body):
    """The data of each event of an SSE body, in order."""
    events = body.decode().replace("\r\n", "\n").split("\n\n")
    lines = (line for event in events for line in event.split("\n"))
    return [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
