"""What of a request goes on to an upstream, and what must not."""

from fault_checks.expected import USAGE
from fault_checks.matrix import Job
from http_client import request
from upstreams import KEYS

OWN = {"openai": "authorization", "anthropic": "x-api-key", "gemini": "x-goog-api-key"}
# A caller's own, of this connection alone, or not for anybody behind us.
KEPT_HERE = ("cookie", "proxy-authorization", "te", "x-hop", "keep-alive", "openai-organization", "idempotency-key")
# What SDKs say of themselves, and the addresses of callers.
PREFIXES = ("x-stainless", "x-forwarded", "forwarded", "turnwise-")
SECRET = "a-secret-of-the-caller"
SENT = {
    "Connection": "close, X-Hop",
    "X-Hop": SECRET,
    "Keep-Alive": SECRET,
    "TE": "trailers",
    "Cookie": f"session={SECRET}",
    "Proxy-Authorization": f"Basic {SECRET}",
    "OpenAI-Organization": SECRET,
    "X-Forwarded-For": "203.0.113.7",
}


def check(running, upstreams):
    """Sends what must stay here; then looks at all that any upstream has received in this run."""
    for provider in KEYS:
        body = {"model": f"{provider}/ok.headers", "messages": [{"role": "user", "content": "Hello"}]}
        sent = {**SENT, "authorization": f"Bearer {running.key}"}
        answer = request("POST", f"{running.url}/v1/chat/completions", body, sent)
        total = answer.json().get("usage", {}).get("total_tokens")
        if answer.status != 200 or total != USAGE[2]:
            return [(Job("-", "chat", provider, "headers"), "status", 200, answer.status)]
    found = []
    for model, calls in list(upstreams.calls.items()):
        for call in calls:
            found += [
                (Job("-", "-", call.provider, model.split("/")[1]), *wrong) for wrong in wrong_in(call, running.key)
            ]
    strays = [call.target for call in upstreams.others if "elsewhere" in call.target]
    return [*found, *([(Job("-", "-", "-", "redirect"), "followed", [], strays)] if strays else [])]


def wrong_in(call, key):
    """What is wrong in a request that an upstream received."""
    own, names = KEYS[call.provider], [name for name, _ in call.headers]
    for name, value in call.headers:
        if key in value or SECRET in value:
            yield "foreign secret", "none", f"{name}: {value}"
        if own in value and name != OWN[call.provider]:
            yield "place of the key", OWN[call.provider], name
        if any(other in value for provider, other in KEYS.items() if provider != call.provider):
            yield "key of another provider", "none", name
        if name in KEPT_HERE or name.startswith(PREFIXES):
            yield "header", "kept here", f"{name}: {value}"
    if key.encode() in call.raw or own.encode() in call.raw or own in call.target:
        yield "key in the body or the path", "none", call.target
    if len(names) != len(set(names)):
        yield "headers", "each once", sorted(names)
    for name in ("content-type", "host", OWN[call.provider]):
        if name not in names:
            yield "header", name, sorted(names)
