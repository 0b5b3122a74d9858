"""Upstreams on loopback that speak as OpenAI, Anthropic and Gemini do, and fail as the name of the model says.

    python infra/emulate/upstreams.py          # prints their addresses, and runs until it is ended

A model called 503.anything is answered with 503, and so on: fault_checks/scenarios.py has them all. What was received
is kept, so that a check can count the calls of each model and look at their headers and bodies; from outside,
`GET /_calls` shows it and `DELETE /_calls` forgets it.
"""

import asyncio
import base64
import collections
import contextlib
import dataclasses
import json
import socket
import struct
import threading
import time
import urllib.parse

from fault_checks import formats
from fault_checks.scenarios import CLOSE, HANG, RESET, Request, document, plan

PROVIDERS = ("openai", "anthropic", "gemini")
HANG_S = 120  # the longest that a connection is left without an answer
KEYS = {name: f"{name}-provider-key-that-no-client-may-see" for name in PROVIDERS}
VECTOR = [0.5, -0.25, 2.0]


@dataclasses.dataclass
class Received:
    """A request as it came: header names are in lower case, `raw` is the body."""

    provider: str
    method: str
    target: str
    headers: list
    raw: bytes
    at: float

    @property
    def body(self):
        """The body, parsed; None where it is no JSON."""
        with contextlib.suppress(ValueError):
            return json.loads(self.raw)
        return None

    def header(self, name):
        """The last header of that name, or None."""
        return dict(self.headers).get(name)


class Upstreams:
    """All upstreams, each on a port of its own, in a thread. `calls` has those of each provider/model."""

    def __init__(self):
        self.calls = collections.defaultdict(list)
        self.others = []  # requests that name no model
        self.ports = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        for name in PROVIDERS:
            self.ports[name] = asyncio.run_coroutine_threadsafe(self._listen(name), self._loop).result()
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _leave(self):
        """Ends what hangs."""
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def environment(self):
        """What the gateway is told: addresses and keys."""
        paths = {"openai": "/v1", "anthropic": "", "gemini": "/v1beta"}
        result = {f"{name.upper()}_BASE_URL": f"http://127.0.0.1:{self.ports[name]}{paths[name]}" for name in PROVIDERS}
        return {**result, **{f"{name.upper()}_API_KEY": KEYS[name] for name in PROVIDERS}}

    async def _listen(self, name):
        server = await asyncio.start_server(lambda *streams: self._serve(name, *streams), "127.0.0.1", 0)
        return server.sockets[0].getsockname()[1]

    async def _serve(self, provider, reader, writer):
        """Serves the requests of one connection."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while received := await read_request(provider, reader):
                if not await perform(self._steps(received), reader, writer):
                    break
        with contextlib.suppress(OSError):
            writer.close()

    def _steps(self, received):
        """What is done for a request, which is kept."""
        path = urllib.parse.urlsplit(received.target).path
        if path == "/_calls":
            return self._control(received)
        model = model_of(received, path)
        if model is None:
            self.others.append(received)
            return document(200, listed(received.provider))
        calls = self.calls[f"{received.provider}/{model}"]
        calls.append(received)
        return steps_of(received, path, model, len(calls))

    def _control(self, received):
        if received.method == "DELETE":
            self.calls.clear()
        return document(200, {model: len(calls) for model, calls in self.calls.items()})


def model_of(received, path):
    """The model that is asked, from the body or the path; None where there is none."""
    if received.provider == "gemini":
        _, _, name = path.partition("/models/")
        return name.partition(":")[0] or None
    body = received.body
    return body.get("model") if isinstance(body, dict) else None


def steps_of(received, path, model, number):
    """The answer of the operation that `path` names, as the scenario of the model wants it."""
    body = received.body or {}
    keyed = {"openai": "authorization", "anthropic": "x-api-key", "gemini": "x-goog-api-key"}[received.provider]
    if KEYS[received.provider] not in (received.header(keyed) or ""):
        return document(401, formats.error(received.provider, 401))
    if path.endswith("/embeddings"):
        return document(200, embedded(body))
    if path.endswith(("/count_tokens", ":countTokens")):
        return document(200, {"input_tokens": formats.INPUT_TOKENS, "totalTokens": formats.INPUT_TOKENS})
    stream = body.get("stream") is True or "streamGenerateContent" in path
    return plan(Request(received.provider, model, stream, number, dict(received.headers), body))


def embedded(body):
    """OpenAI's answer to a request for embeddings."""
    inputs = body["input"] if isinstance(body.get("input"), list) else [body.get("input")]
    # The client asks for base64 by itself.
    packed = base64.b64encode(struct.pack(f"<{len(VECTOR)}f", *VECTOR)).decode()
    vector = packed if body.get("encoding_format") == "base64" else VECTOR
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(len(inputs))]
    usage = {"prompt_tokens": formats.INPUT_TOKENS, "total_tokens": formats.INPUT_TOKENS}
    return {"object": "list", "data": data, "model": body.get("model"), "usage": usage}


def listed(provider):
    """The provider's list of models, of which there is one."""
    if provider == "openai":
        return {
            "object": "list",
            "data": [{"id": "ok", "object": "model", "created": formats.CREATED, "owned_by": "mock"}],
        }
    if provider == "anthropic":
        model = {"type": "model", "id": "ok", "display_name": "OK", "created_at": "2026-01-01T00:00:00Z"}
        return {"data": [model], "has_more": False, "first_id": "ok", "last_id": "ok"}
    return {"models": [{"name": "models/ok", "supportedGenerationMethods": ["generateContent"]}]}


async def read_request(provider, reader):
    """The next request of a connection; None at its end."""
    line = await reader.readline()
    if not line:
        return None
    method, target, _ = line.decode().split(" ", 2)
    headers = []
    while (line := await reader.readline()) not in (b"\r\n", b"\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers.append((name.strip().lower(), value.strip()))
    raw = await read_body(dict(headers), reader)
    return Received(provider, method, target, headers, raw, time.monotonic())


async def read_body(headers, reader):
    """The body, by its length or in chunks."""
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    body = b""
    while length := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(length)
        await reader.readline()
    await reader.readline()
    return body


async def perform(steps, reader, writer):
    """Does one thing after the other; says whether the connection can go on."""
    for step in steps:
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
        elif step == HANG:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(reader.read(1), HANG_S)
            return False
        elif step == RESET:
            reset(writer)
            return False
        elif step == CLOSE:
            return False
        else:
            await asyncio.sleep(step)
    return True


def reset(writer):
    """Closes the connection so that the other side gets a TCP RST."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def main():
    with Upstreams() as upstreams:
        print("\n".join(f"{name}={value}" for name, value in upstreams.environment().items()), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
