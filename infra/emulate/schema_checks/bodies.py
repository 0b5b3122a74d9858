"""What the OpenAPI document leaves open: bodies that OpenAI's and Anthropic's documents describe, in short, and texts.

Without it made up requests would seldom get as far as a model. What would only take time is not in it: `echo_delay_ms`.
"""

TEXT = {"type": "string", "maxLength": 40}
NAME = {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,20}$"}
FLAG = {"type": "boolean"}
OBJECT = {"type": "object"}
MODEL = {"enum": ["local/echo", "echo", "auto"]}
TOKENS = {"type": "integer", "minimum": 1, "maximum": 2000}
METADATA = {"type": "object", "additionalProperties": TEXT, "maxProperties": 3}
PICTURE = "data:image/png;base64,iVBORw0KGgo="
PARAMETERS = {
    "enum": [
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": ["number", "null"]}}},
        {"type": "object", "properties": {"list": {"type": "array", "minItems": 2, "items": {"enum": ["x", None]}}}},
    ]
}


def closed(required=(), **properties):
    """An object with these fields; others may come along."""
    return {"type": "object", "properties": properties, "required": list(required)}


def typed(kind, **properties):
    """An object of the type `kind` that has all these fields."""
    return closed(["type", *properties], type={"const": kind}, **properties)


def some(schema, most=3, least=0):
    """A short list."""
    return {"type": "array", "items": schema, "minItems": least, "maxItems": most}


def one_of(*schemas):
    """Any of these."""
    return {"anyOf": list(schemas)}


PARTS = some(one_of(typed("text", text=TEXT), typed("image_url", image_url=closed(["url"], url={"const": PICTURE}))))
CALL = typed("function", id=NAME, function=closed(["name", "arguments"], name=NAME, arguments=TEXT))
CHAT_MESSAGE = one_of(
    closed(["role", "content"], role={"enum": ["system", "developer", "user"]}, content=one_of(TEXT, PARTS), name=NAME),
    closed(["role", "content"], role={"const": "assistant"}, content=TEXT, tool_calls=some(CALL)),
    closed(["role", "content", "tool_call_id"], role={"const": "tool"}, content=TEXT, tool_call_id=NAME),
)
CHAT_TOOL = typed("function", function=closed(["name"], name=NAME, description=TEXT, parameters=PARAMETERS))
CHAT_FORMAT = one_of(
    typed("text"),
    typed("json_object"),
    typed("json_schema", json_schema=closed(["name", "schema"], name=NAME, schema=PARAMETERS, strict=FLAG)),
)
CHAT_COMPLETION = closed(
    ["model", "messages"],
    model=MODEL,
    messages=some(CHAT_MESSAGE, least=1),
    stream=FLAG,
    stream_options=closed(include_usage=FLAG),
    temperature={"type": "number", "minimum": 0, "maximum": 2},
    max_tokens=TOKENS,
    max_completion_tokens=TOKENS,
    n={"type": "integer", "minimum": 1, "maximum": 2},
    stop=one_of(TEXT, some(TEXT)),
    tools=some(CHAT_TOOL),
    tool_choice=one_of({"enum": ["none", "auto", "required"]}, typed("function", function=closed(["name"], name=NAME))),
    response_format=CHAT_FORMAT,
    reasoning_effort={"enum": ["none", "low", "high"]},
    metadata=METADATA,
    user=TEXT,
)

ITEM_PARTS = some(one_of(typed("input_text", text=TEXT), typed("input_image", image_url={"const": PICTURE})))
ITEM = one_of(
    closed(["role", "content"], role={"enum": ["system", "developer", "user"]}, content=one_of(TEXT, ITEM_PARTS)),
    typed("message", role={"const": "assistant"}, content=some(typed("output_text", text=TEXT))),
    typed("function_call", call_id=NAME, name=NAME, arguments=TEXT),
    typed("function_call_output", call_id=NAME, output=TEXT),
    typed("reasoning", summary=some(typed("summary_text", text=TEXT))),
)
ITEMS = one_of(TEXT, some(ITEM, least=1))
RESPONSE_FORMAT = one_of(typed("text"), typed("json_object"), typed("json_schema", name=NAME, schema=PARAMETERS))
RESPONSE = closed(
    ["model", "input"],
    model=MODEL,
    input=ITEMS,
    instructions=TEXT,
    stream=FLAG,
    background=FLAG,
    store=FLAG,
    truncation={"enum": ["auto", "disabled"]},
    max_output_tokens=TOKENS,
    metadata=METADATA,
    tools=some(typed("function", name=NAME, parameters=PARAMETERS)),
    tool_choice=one_of({"enum": ["none", "auto", "required"]}, typed("function", name=NAME)),
    text=closed(format=RESPONSE_FORMAT),
    reasoning=closed(effort={"enum": ["none", "low", "high"]}),
    include=some({"enum": ["reasoning.encrypted_content", "message.output_text.logprobs"]}),
)

BLOCKS = some(
    one_of(
        typed("text", text=TEXT),
        typed("tool_use", id=NAME, name=NAME, input=OBJECT),
        typed("tool_result", tool_use_id=NAME, content=TEXT),
        typed("thinking", thinking=TEXT, signature=TEXT),
        typed("document", source=typed("text", media_type={"const": "text/plain"}, data=TEXT)),
    ),
    least=1,
)
MESSAGE = closed(
    ["model", "max_tokens", "messages"],
    model=MODEL,
    max_tokens=TOKENS,
    messages=some(
        closed(["role", "content"], role={"enum": ["user", "assistant"]}, content=one_of(TEXT, BLOCKS)), least=1
    ),
    system=one_of(TEXT, some(typed("text", text=TEXT))),
    stream=FLAG,
    stop_sequences=some(TEXT),
    temperature={"type": "number", "minimum": 0, "maximum": 1},
    tools=some(closed(["name", "input_schema"], name=NAME, description=TEXT, input_schema=PARAMETERS)),
    tool_choice=one_of(typed("auto"), typed("any"), typed("none"), typed("tool", name=NAME)),
    thinking=one_of(typed("disabled"), typed("enabled", budget_tokens={"type": "integer", "minimum": 1024})),
    metadata=closed(user_id=TEXT),
)

EMBEDDING = closed(
    ["model", "input"],
    model={"const": "local/hash-embedding"},
    input=one_of(TEXT, some(TEXT, least=1)),
    dimensions={"type": "integer", "minimum": 1, "maximum": 4096},
    encoding_format={"enum": ["float", "base64"]},
    user=TEXT,
)

# By path; each is a POST.
BODIES = {
    "/v1/chat/completions": CHAT_COMPLETION,
    "/v1/embeddings": EMBEDDING,
    "/v1/messages": MESSAGE,
    "/v1/messages/count_tokens": MESSAGE,
    "/v1/responses": RESPONSE,
    "/v1/responses/compact": closed(["model", "input"], model=MODEL, input=ITEMS, instructions=TEXT),
    "/v1/responses/input_tokens": RESPONSE,
}
# Fields of bodies that the document does describe, whose values it does not.
LABEL = {"type": "string", "pattern": "^[a-z]{1,20}$"}
USD = {"enum": [None, "1.50", "1000"]}
FIELDS = {
    "AddItems": {"items": some(ITEM, least=1)},
    "KeyRequest": {
        "name": LABEL,
        "owner": LABEL,
        "tenant": {"const": "default"},
        "scopes": some({"enum": ["generate", "read", "reports", "admin"]}, most=4, least=1),
        "models": some({"enum": ["local/echo", "local/*"]}),
        "expires_at": {"enum": [None, "2099-01-31T12:00:00Z"]},
    },
    "EraseRequest": {"user": LABEL, "reason": LABEL},
    "ReleaseRequest": {"reason": LABEL},
    "RotateRequest": {"grace_s": {"type": "integer", "minimum": 0, "maximum": 604800}},
    "TenantRequest": {"alert_webhook": {"enum": [None, "https://example.com/alerts"]}},
    "BudgetBody": {"daily_usd": USD, "monthly_usd": USD, "downgrade_to": {"enum": [None, "local/echo"]}},
    "ChatRequest": {
        "message": LABEL,
        "model": one_of(MODEL, {"type": "null"}),
        "session_id": NAME,
        "thread_id": {"type": "null"},
        "turn_id": NAME,
        "delivery": {"enum": ["at-least-once", "at-most-once"]},
        "on_busy": {"enum": ["wait", "reject", "enqueue", "interrupt"]},
        "history_turns": {"type": "integer", "minimum": 0, "maximum": 100},
        "wait_timeout_s": {"type": "integer", "minimum": 0, "maximum": 2},
    },
    "CreateConversation": {"items": some(ITEM)},
}
# Headers and fields of queries, wherever they are named.
VALUES = {
    "action": {"enum": ["key.create", "tenant.update", "conversation.erase"]},
    "days": {"type": "integer", "minimum": 1, "maximum": 31},  # a year takes seconds
    "format": {"enum": ["jsonl", "csv"]},
    "from": {"enum": ["2026-01-01", "2026-01-01T00:00:00Z"]},
    "limit": {"type": "integer", "minimum": 1, "maximum": 100},
    "order": {"enum": ["asc", "desc"]},
    "reason": LABEL,
    "to": {"enum": ["2026-02-01", "2026-02-01T00:00:00Z"]},
    "Idempotency-Key": NAME,
    "If-Match": {"enum": ["1", "2"]},
    "Prefer": {"enum": ["wait=1", "respond-async"]},
    "Turnwise-Delivery": {"enum": ["at-least-once", "at-most-once"]},
    "Turnwise-On-Busy": {"enum": ["wait", "reject", "enqueue", "interrupt"]},
    "anthropic-version": {"const": "2023-06-01"},
}
