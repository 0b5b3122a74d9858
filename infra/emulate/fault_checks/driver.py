"""Does what it is told with an official Python client, and tells what came of it.

    python infra/emulate/fault_checks/driver.py openai|anthropic < jobs.json

Reads {"url", "key", "jobs"} and prints a line of JSON for each job, as it ends. A program of its own, because two
versions of a client do not fit into one; it must not import what the other scripts have.
"""

import concurrent.futures
import json
import sys
import time

WORKERS = 16
KEPT_CHARS = 20_000  # of what a client was given: enough to look for keys in it
QUESTION = "Say something in many alphabets."


def main():
    told = json.load(sys.stdin)
    make = {"openai": openai_client, "anthropic": anthropic_client}[sys.argv[1]]
    client = make(told["url"], told["key"])
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for done in concurrent.futures.as_completed(pool.submit(run, client, job) for job in told["jobs"]):
            print(json.dumps(done.result()), flush=True)


def openai_client(url, key):
    """The client of OpenAI; only the base URL and the key are changed."""
    import openai

    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, timeout=30)


def anthropic_client(url, key):
    """The client of Anthropic; only the base URL and the key are changed."""
    import anthropic

    return anthropic.Anthropic(base_url=url, api_key=key, timeout=30)


def run(client, job):
    """Does one job; `out` grows while it runs, so that a failure leaves what came before it."""
    out = {
        "id": job["id"],
        "text": "",
        "refusal": "",
        "calls": [],
        "finish": None,
        "usage": None,
        "error": None,
        "events": 0,
    }
    options = {} if job["retries"] is None else {"max_retries": job["retries"]}
    if "timeout" in job:
        options["timeout"] = job["timeout"]
    began = time.monotonic()
    try:
        SURFACES[job["surface"]](client.with_options(**options), job["model"], job.get("body", {}), out)
    except Exception as error:  # whatever a client raises is what is looked at
        out["error"] = described(error)
    out["seconds"] = round(time.monotonic() - began, 3)
    out["calls"] = [call for call in out["calls"] if call]
    out["raw"] = out.get("raw", "")[:KEPT_CHARS]
    return out


def described(error):
    """What a program could find out about an exception. A class of the SDK has no module in its name here."""
    kind = type(error)
    ours = kind.__module__.split(".")[0] in ("openai", "anthropic")
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else {}
    inner = inner if isinstance(inner, dict) else {}
    response = getattr(error, "response", None)
    return {
        "class": kind.__name__ if ours else f"{kind.__module__}.{kind.__name__}",
        "status": getattr(error, "status_code", None),
        "code": inner.get("code"),
        "type": inner.get("type"),
        "category": inner.get("category"),
        "retryable": inner.get("retryable"),
        "param": inner.get("param"),
        "message": str(error)[:2000],
        "body": json.dumps(body, default=str)[:4000],
        "request_id": getattr(error, "request_id", None),
        "headers": dict(response.headers) if response is not None else {},
    }


def keep(out, raw):
    """Keeps what an answer of the SDK came with."""
    out["headers"] = dict(raw.headers)
    return raw.parse()


def note(out, event):
    """Counts an event, and keeps it for the search for keys."""
    out["events"] += 1
    if len(out.get("raw", "")) < KEPT_CHARS:
        out["raw"] = out.get("raw", "") + event.model_dump_json(warnings=False)
    return event


def call_at(out, index):
    """The call of that index, with those before it."""
    out["calls"] += [None] * (index + 1 - len(out["calls"]))
    out["calls"][index] = out["calls"][index] or {"id": None, "name": None, "arguments": ""}
    return out["calls"][index]


# OpenAI's chat completions.


def chat(client, model, body, out):
    """A completion that is not streamed."""
    arguments = {"model": model, "messages": [{"role": "user", "content": QUESTION}], **body}
    completion = keep(out, client.chat.completions.with_raw_response.create(**arguments))
    note(out, completion)
    take_completion(completion, out)


def take_completion(completion, out):
    """What a completion says."""
    [choice] = completion.choices
    out["text"], out["refusal"] = choice.message.content or "", choice.message.refusal or ""
    for index, call in enumerate(choice.message.tool_calls or []):
        call_at(out, index).update(id=call.id, name=call.function.name, arguments=call.function.arguments)
    out["finish"] = choice.finish_reason
    take_openai_usage(completion.usage, out)


def take_openai_usage(usage, out):
    """Tokens of a completion."""
    if usage:
        cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else 0
        out["usage"] = [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, cached or 0]


def chat_stream(client, model, body, out):
    """A streamed completion, its deltas put together by hand."""
    arguments = {"model": model, "messages": [{"role": "user", "content": QUESTION}], **body}
    arguments = {"stream_options": {"include_usage": True}, **arguments, "stream": True}
    for chunk in keep(out, client.chat.completions.with_raw_response.create(**arguments)):
        note(out, chunk)
        take_openai_usage(chunk.usage, out)
        for choice in chunk.choices:
            out["text"] += choice.delta.content or ""
            out["refusal"] += choice.delta.refusal or ""
            out["finish"] = choice.finish_reason or out["finish"]
            for delta in choice.delta.tool_calls or []:
                call = call_at(out, delta.index)
                call["id"] = delta.id or call["id"]
                call["name"] = delta.function.name or call["name"]
                call["arguments"] += delta.function.arguments or ""


def chat_helper(client, model, body, out):
    """A streamed completion, put together by the client's helper."""
    arguments = {"model": model, "messages": [{"role": "user", "content": QUESTION}], **body}
    with client.chat.completions.stream(**arguments, stream_options={"include_usage": True}) as stream:
        for event in stream:
            out["events"] += 1
            if event.type == "content.delta":
                out["text"] += event.delta
        final = stream.get_final_completion()
    out["whole"] = final.choices[0].message.content or ""
    take_completion(final, out)


# OpenAI's responses.


def responses(client, model, body, out):
    """A response that is not streamed."""
    arguments = {"model": model, "input": QUESTION, **body}
    response = keep(out, client.responses.with_raw_response.create(**arguments))
    note(out, response)
    take_response(response, out)


def take_response(response, out):
    """What a response says. A failed one counts as an error."""
    out["text"] = response.output_text
    for item in response.output:
        if item.type == "function_call":
            out["calls"].append({"id": item.call_id, "name": item.name, "arguments": item.arguments})
        if item.type == "message":
            out["refusal"] += "".join(part.refusal for part in item.content if part.type == "refusal")
    reason = response.incomplete_details.reason if response.incomplete_details else None
    out["finish"] = reason or response.status
    if response.usage:
        usage = response.usage
        out["usage"] = [
            usage.input_tokens,
            usage.output_tokens,
            usage.total_tokens,
            usage.input_tokens_details.cached_tokens,
        ]
    if response.status == "failed":
        out["finish"] = None
        out["error"] = failed(response)


def failed(response):
    """A response that says that it failed, as if it were an exception."""
    error = response.error.model_dump() if response.error else {}
    return {
        "class": "response.failed",
        "status": None,
        "headers": {},
        **{"category": None, "retryable": None, "type": None, "request_id": None},
        **error,
    }


def responses_stream(client, model, body, out):
    """A streamed response, its deltas put together by hand."""
    arguments = {"model": model, "input": QUESTION, **body, "stream": True}
    for event in keep(out, client.responses.with_raw_response.create(**arguments)):
        note(out, event)
        if event.type == "response.output_text.delta":
            out["text"] += event.delta
        if event.type in ("response.completed", "response.incomplete", "response.failed"):
            pieces = out["text"]
            take_response(event.response, out)
            out["whole"], out["text"] = out["text"], pieces


# Anthropic's messages.


def messages(client, model, body, out):
    """A message that is not streamed."""
    arguments = {"model": model, "max_tokens": 1024, "messages": [{"role": "user", "content": QUESTION}], **body}
    message = keep(out, client.messages.with_raw_response.create(**arguments))
    note(out, message)
    take_message(message, out)


def take_message(message, out):
    """What a message says."""
    out["text"] = "".join(block.text for block in message.content if block.type == "text")
    out["calls"] = [
        {"id": block.id, "name": block.name, "arguments": json.dumps(block.input)}
        for block in message.content
        if block.type == "tool_use"
    ]
    out["finish"] = message.stop_reason
    take_anthropic_usage(message.usage, out)


def take_anthropic_usage(usage, out):
    """Tokens of a message: Anthropic's input leaves out what the cache held."""
    cached = getattr(usage, "cache_read_input_tokens", None) or 0
    created = getattr(usage, "cache_creation_input_tokens", None) or 0
    known = out["usage"] or [0, 0, 0, 0]
    spent = (usage.input_tokens or 0) + cached + created or known[0]
    out["usage"] = [spent, usage.output_tokens, spent + usage.output_tokens, cached or known[3]]


def messages_stream(client, model, body, out):
    """A streamed message, its deltas put together by hand."""
    arguments = {"model": model, "max_tokens": 1024, "messages": [{"role": "user", "content": QUESTION}], **body}
    for event in keep(out, client.messages.with_raw_response.create(**arguments, stream=True)):
        note(out, event)
        if event.type == "message_start":
            out["start_input"] = event.message.usage.input_tokens
            take_anthropic_usage(event.message.usage, out)
        elif event.type == "content_block_start" and event.content_block.type == "tool_use":
            call_at(out, event.index).update(id=event.content_block.id, name=event.content_block.name)
        elif event.type == "content_block_delta" and event.delta.type == "text_delta":
            out["text"] += event.delta.text
        elif event.type == "content_block_delta" and event.delta.type == "input_json_delta":
            call_at(out, event.index)["arguments"] += event.delta.partial_json
        elif event.type == "message_delta":
            take_anthropic_usage(event.usage, out)
            # A message is whole only with its message_stop.
            out["reason"] = event.delta.stop_reason
        elif event.type == "message_stop":
            out["finish"] = out.get("reason")


def messages_helper(client, model, body, out):
    """A streamed message, put together by the client's helper."""
    arguments = {"model": model, "max_tokens": 1024, "messages": [{"role": "user", "content": QUESTION}], **body}
    with client.messages.stream(**arguments) as stream:
        for text in stream.text_stream:
            out["events"] += 1
            out["text"] += text
        final = stream.get_final_message()
    out["whole"] = "".join(block.text for block in final.content if block.type == "text")
    take_message(final, out)


# What is not an answer.


def embeddings(client, model, body, out):
    """Vectors of two texts."""
    made = keep(out, client.embeddings.with_raw_response.create(model=model, input=["one", "two"], **body))
    out["text"] = json.dumps([item.embedding for item in made.data])
    out["finish"] = "stop"


def count_tokens(client, model, body, out):
    """The tokens of a message."""
    arguments = {"model": model, "messages": [{"role": "user", "content": QUESTION}], **body}
    out["usage"] = [keep(out, client.messages.with_raw_response.count_tokens(**arguments)).input_tokens]


SURFACES = {
    "chat": chat,
    "chat-stream": chat_stream,
    "chat-helper": chat_helper,
    "responses": responses,
    "responses-stream": responses_stream,
    "messages": messages,
    "messages-stream": messages_stream,
    "messages-helper": messages_helper,
    "embeddings": embeddings,
    "count-tokens": count_tokens,
}

if __name__ == "__main__":
    main()
