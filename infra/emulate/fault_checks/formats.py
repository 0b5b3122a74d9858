"""Answers in the public formats of OpenAI, Anthropic and Gemini, whole and as events of a stream.

Written from the providers' own documentation, not from our code, so that a misreading of ours shows.
"""

import dataclasses
import json

# Characters of two to four bytes, a joined emoji, quotes, and U+2028, at which careless readers of lines break.
PIECES = ("Gr", "üße", ", 世界", " 👋🏽", '\n"quoted" \\ ', "a\u2028b", " the", " end.")
TEXT = "".join(PIECES)
INPUT_TOKENS, CACHED_TOKENS, OUTPUT_TOKENS = 17, 7, 9
CREATED = 1_700_000_000


@dataclasses.dataclass(frozen=True)
class Call:
    """A function that the model wants called; its arguments come in `pieces`."""

    id: str
    name: str
    pieces: tuple

    @property
    def arguments(self):
        """The arguments, whole."""
        return "".join(self.pieces)


WEATHER = Call("call_weather_1", "get_weather", ('{"pla', 'ce":"Zürich', '","days"', ":3}"))
CLOCK = Call("call_clock_2", "get_time", ('{"zone":', '"CET"}'))


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a model answers. `finish` is stop, length, tool, filter or refusal; `usage` how often it is told."""

    pieces: tuple = PIECES
    calls: tuple = ()
    finish: str = "stop"
    usage: int = 1
    odd_indexes: bool = False

    @property
    def text(self):
        """The text, whole."""
        return "".join(self.pieces)


def whole(provider, answer, model):
    """The answer that is not streamed, as a dictionary."""
    return {"openai": _openai_whole, "anthropic": _anthropic_whole, "gemini": _gemini_whole}[provider](answer, model)


def events(provider, answer, model):
    """The events of a stream: pairs of a type, or None, and a dictionary or text."""
    return {"openai": _openai_events, "anthropic": _anthropic_events, "gemini": _gemini_events}[provider](answer, model)


def error(provider, status, message="the upstream is told to fail", code=None):
    """The body of an error."""
    if provider == "openai":
        kinds = {401: "invalid_request_error", 429: "requests", 404: "invalid_request_error"}
        codes = {401: "invalid_api_key", 429: "rate_limit_exceeded", 404: "model_not_found", 402: "insufficient_quota"}
        kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
        return {"error": {"message": message, "type": kind, "param": None, "code": code or codes.get(status)}}
    if provider == "anthropic":
        kinds = {401: "authentication_error", 402: "billing_error", 403: "permission_error", 404: "not_found_error"}
        kinds |= {429: "rate_limit_error", 500: "api_error", 503: "api_error", 529: "overloaded_error"}
        kind = kinds.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_mock"}
    kinds = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
    kinds |= {429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}
    return {"error": {"code": status, "message": message, "status": kinds.get(status, "UNKNOWN")}}


# OpenAI: https://platform.openai.com/docs/api-reference/chat


def _openai_usage():
    return {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _openai_finish(answer):
    named = {"length": "length", "filter": "content_filter"}
    return "tool_calls" if answer.calls else named.get(answer.finish, "stop")


def _openai_whole(answer, model):
    message = {"role": "assistant", "content": answer.text or None, "refusal": None, "annotations": []}
    if answer.finish == "refusal":
        message |= {"content": None, "refusal": answer.text}
    if answer.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in answer.calls
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _openai_finish(answer)}
    body = {"id": "chatcmpl-mock", "object": "chat.completion", "created": CREATED, "model": model, "choices": [choice]}
    return {**body, **({"usage": _openai_usage()} if answer.usage else {}), "service_tier": "default"}


def _openai_events(answer, model):
    frame = {"id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": CREATED, "model": model}

    def chunk(delta, finish=None):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return None, {**frame, "choices": [choice], "usage": None}

    field = "refusal" if answer.finish == "refusal" else "content"
    result = [chunk({"role": "assistant", "content": "" if answer.pieces else None, "refusal": None})]
    result += [chunk({field: piece}) for piece in answer.pieces]
    result += [chunk({"tool_calls": [delta]}) for delta in _openai_tool_deltas(answer)]
    result.append(chunk({}, _openai_finish(answer)))
    result += [(None, {**frame, "choices": [], "usage": _openai_usage()})] * answer.usage
    return [*result, (None, "[DONE]")]


def _openai_tool_deltas(answer):
    """Pieces of the calls, interleaved; odd ones count 3, 7 and repeat the id, as some servers do."""
    deltas = []
    for number, call in enumerate(answer.calls):
        index = 3 + 4 * number if answer.odd_indexes else number
        deltas.append(
            {"index": index, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        )
    longest = max((len(call.pieces) for call in answer.calls), default=0)
    for place in range(longest):
        for number, call in enumerate(answer.calls):
            if place < len(call.pieces):
                index = 3 + 4 * number if answer.odd_indexes else number
                delta = {"index": index, "function": {"arguments": call.pieces[place]}}
                deltas.append({**delta, "id": call.id} if answer.odd_indexes else delta)
    return deltas


# Anthropic: https://docs.anthropic.com/en/api/messages and .../messages-streaming


def _anthropic_usage(output_tokens):
    return {
        "input_tokens": INPUT_TOKENS - CACHED_TOKENS,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": CACHED_TOKENS,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def _anthropic_stop(answer):
    named = {"length": "max_tokens", "filter": "refusal", "refusal": "refusal"}
    return "tool_use" if answer.calls else named.get(answer.finish, "end_turn")


def _anthropic_whole(answer, model):
    content = [{"type": "text", "text": answer.text}] if answer.text else []
    content += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": json.loads(call.arguments)}
        for call in answer.calls
    ]
    body = {"id": "msg_mock", "type": "message", "role": "assistant", "model": model, "content": content}
    body |= {"stop_reason": _anthropic_stop(answer), "stop_sequence": None}
    return {**body, "usage": _anthropic_usage(OUTPUT_TOKENS)} if answer.usage else body


def _anthropic_events(answer, model):
    message = {"id": "msg_mock", "type": "message", "role": "assistant", "model": model, "content": []}
    message |= {"stop_reason": None, "stop_sequence": None}
    if answer.usage:
        message["usage"] = _anthropic_usage(1)
    result = [{"type": "message_start", "message": message}]
    blocks = [({"type": "text", "text": ""}, "text_delta", "text", answer.pieces)] if answer.pieces else []
    for call in answer.calls:
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        blocks.append((block, "input_json_delta", "partial_json", ("", *call.pieces)))
    for index, (block, kind, field, pieces) in enumerate(blocks):
        result.append({"type": "content_block_start", "index": index, "content_block": block})
        result.append({"type": "ping"})
        for piece in pieces:
            result.append({"type": "content_block_delta", "index": index, "delta": {"type": kind, field: piece}})
        result.append({"type": "content_block_stop", "index": index})
    final = {"type": "message_delta", "delta": {"stop_reason": _anthropic_stop(answer), "stop_sequence": None}}
    # The tokens of message_delta are cumulative, so that a second one repeats the first.
    result += [{**final, "usage": {"output_tokens": OUTPUT_TOKENS}}] * answer.usage or [final]
    return [(event["type"], event) for event in [*result, {"type": "message_stop"}]]


# Gemini: https://ai.google.dev/api/generate-content


def _gemini_usage():
    return {
        "promptTokenCount": INPUT_TOKENS,
        "cachedContentTokenCount": CACHED_TOKENS,
        "candidatesTokenCount": OUTPUT_TOKENS,
        "totalTokenCount": INPUT_TOKENS + OUTPUT_TOKENS,
    }


def _gemini_finish(answer):
    return {"length": "MAX_TOKENS", "filter": "SAFETY", "refusal": "SAFETY"}.get(answer.finish, "STOP")


def _gemini_calls(answer):
    return [{"functionCall": {"name": call.name, "args": json.loads(call.arguments)}} for call in answer.calls]


def _gemini_body(model, parts, finish=None, usage=True):
    candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    body = {"candidates": [candidate], "modelVersion": model, "responseId": "mock"}
    return {**body, "usageMetadata": _gemini_usage()} if usage else body


def _gemini_whole(answer, model):
    parts = [{"text": answer.text}] if answer.text else []
    return _gemini_body(model, parts + _gemini_calls(answer), _gemini_finish(answer), bool(answer.usage))


def _gemini_events(answer, model):
    parts = [[{"text": piece}] for piece in answer.pieces] + [[call] for call in _gemini_calls(answer)]
    bodies = [_gemini_body(model, part, usage=answer.usage > 1) for part in parts]
    # The last event carries an empty part, or the last call, with the reason.
    bodies.append(_gemini_body(model, [{"text": ""}], _gemini_finish(answer), bool(answer.usage)))
    return [(None, body) for body in bodies]
