"""Each format through each other: what the upstream receives, and what is said of what it cannot be given."""

import base64
import dataclasses
import json
from collections.abc import Callable

from fault_checks import matrix
from fault_checks.matrix import CLIENTS, Job
from upstreams import VECTOR

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(64))).decode()
DATA_URL = f"data:image/png;base64,{PNG}"
# The order of properties is the order in which a model writes them, so that it must survive.
PROPERTIES = ("zebra", "apple", "mango")
SCHEMA = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in PROPERTIES},
    "required": list(PROPERTIES),
    "additionalProperties": False,
}
ARGUMENTS = {"zone": "CET", "at": "12:00"}
RESULTS = {"call_a": "12:00 in Zürich", "call_b": "13:00"}

OPENAI_TOOL = {"type": "function", "function": {"name": "get_time", "description": "The time.", "parameters": SCHEMA}}
OPENAI_CALLS = [
    {"id": name, "type": "function", "function": {"name": "get_time", "arguments": json.dumps(ARGUMENTS)}}
    for name in RESULTS
]
OPENAI_ROUND = {
    "tools": [OPENAI_TOOL],
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Two times, please."},
        {"role": "assistant", "content": None, "tool_calls": OPENAI_CALLS},
        *({"role": "tool", "tool_call_id": name, "content": text} for name, text in RESULTS.items()),
    ],
}
RESPONSES_ROUND = {
    "tools": [
        {"type": "function", "name": "get_time", "description": "The time.", "parameters": SCHEMA, "strict": False}
    ],
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": "Two times, please."},
        *(
            {"type": "function_call", "call_id": name, "name": "get_time", "arguments": json.dumps(ARGUMENTS)}
            for name in RESULTS
        ),
        *({"type": "function_call_output", "call_id": name, "output": text} for name, text in RESULTS.items()),
    ],
}
ANTHROPIC_ROUND = {
    "tools": [{"name": "get_time", "description": "The time.", "input_schema": SCHEMA}],
    "system": "Be brief.",
    "messages": [
        {"role": "user", "content": "Two times, please."},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": name, "name": "get_time", "input": ARGUMENTS} for name in RESULTS],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": name, "content": text} for name, text in RESULTS.items()
            ],
        },
    ],
}
OTHER_SURFACES = {"count-tokens": "anthropic-python", "embeddings": "openai-python-3"}
UNKNOWN = {"vendor_field": {"deep": [1, 2.5, None, "ü"]}, "big_number": 9007199254740991, "min_p": 0.05}


@dataclasses.dataclass(frozen=True)
class Crossing:
    """A request of the clients of a family to a provider. `look` yields what deviates in outcome, header and body."""

    name: str
    surface: str
    provider: str
    body: dict
    look: Callable
    scenario: str = "ok"

    def jobs(self):
        """One for each client that has the surface."""
        for client in CLIENTS.values():
            if self.surface in client.surfaces or OTHER_SURFACES.get(self.surface) == client.name:
                yield Job(client.name, self.surface, self.provider, self.scenario, note=f"-{self.name}", body=self.body)


def check(running, upstreams):
    """Runs all; returns what deviates."""
    found, planned = [], [(crossing, job) for crossing in CROSSINGS for job in crossing.jobs()]
    outcomes = matrix.run(running, [job for _, job in planned])
    for crossing, job in planned:
        calls, outcome = upstreams.calls[job.key], outcomes[job.key]
        shown = dataclasses.replace(job, scenario=crossing.name)
        try:
            wrong = list(crossing.look(outcome, calls[-1].body if calls else None))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            wrong = [("shape", repr(error), calls[-1].body if calls else outcome["error"])]
        found += [(shown, *each) for each in wrong]
    return found


def differs(what, wanted, seen):
    """The deviation, if there is one."""
    return [] if wanted == seen else [(what, wanted, seen)]


def answered(outcome):
    """An error where an answer should be."""
    return differs("error", None, outcome["error"] and outcome["error"]["message"])


# What is passed on as it is.


def passed_through(outcome, body):
    """An upstream of OpenAI's kind gets the body unchanged, but for the model's name."""
    yield from answered(outcome)
    wanted = {
        **UNKNOWN,
        "seed": 7,
        "logit_bias": {"50256": -100},
        "messages": OPENAI_ROUND["messages"],
        "tools": [OPENAI_TOOL],
    }
    yield from differs(
        "body",
        wanted,
        {name: value for name, value in body.items() if name not in ("model", "stream", "stream_options")},
    )
    yield from differs(
        "order of the properties", list(PROPERTIES), list(body["tools"][0]["function"]["parameters"]["properties"])
    )


# Tools.


def openai_round(outcome, body):
    """Calls and results as OpenAI has them."""
    yield from answered(outcome)
    said = [message for message in body["messages"] if message["role"] not in ("system", "developer")]
    yield from differs("roles", ["user", "assistant", "tool", "tool"], [message["role"] for message in said])
    calls = [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in said[1]["tool_calls"]
    ]
    yield from differs("calls", [(name, "get_time", ARGUMENTS) for name in RESULTS], calls)
    yield from differs(
        "results", RESULTS, {message["tool_call_id"]: text_of(message["content"]) for message in said[2:]}
    )
    yield from differs("system", "Be brief.", text_of(body["messages"][0]["content"]))
    yield from in_order(body["tools"][0]["function"]["parameters"])


def anthropic_round(outcome, body):
    """Calls and results as Anthropic has them: all results in one message of the user."""
    yield from answered(outcome)
    yield from differs("roles", ["user", "assistant", "user"], [message["role"] for message in body["messages"]])
    uses = [
        (block["id"], block["name"], block["input"])
        for block in body["messages"][1]["content"]
        if block["type"] == "tool_use"
    ]
    yield from differs("calls", [(name, "get_time", ARGUMENTS) for name in RESULTS], uses)
    results = {block["tool_use_id"]: text_of(block["content"]) for block in body["messages"][2]["content"]}
    yield from differs("results", RESULTS, results)
    yield from differs("system", "Be brief.", text_of(body["system"]))
    yield from differs("max_tokens", True, body["max_tokens"] > 0)
    yield from in_order(body["tools"][0]["input_schema"])


def gemini_round(outcome, body):
    """Calls and results as Gemini has them."""
    yield from answered(outcome)
    yield from differs("roles", ["user", "model", "user"], [content["role"] for content in body["contents"]])
    calls = [part["functionCall"] for part in body["contents"][1]["parts"]]
    yield from differs("calls", [("get_time", ARGUMENTS)] * 2, [(call["name"], call["args"]) for call in calls])
    results = [part["functionResponse"] for part in body["contents"][2]["parts"]]
    yield from differs(
        "results", list(RESULTS.values()), [next(iter(result["response"].values())) for result in results]
    )
    yield from differs("system", "Be brief.", body["systemInstruction"]["parts"][0]["text"])
    declared = body["tools"][0]["functionDeclarations"][0]
    yield from in_order(declared.get("parametersJsonSchema") or declared["parameters"])


def in_order(schema):
    """The properties in the order in which they were declared."""
    yield from differs(
        "order of the properties", list(PROPERTIES), schema.get("propertyOrdering") or list(schema["properties"])
    )


def text_of(content):
    """Text that may be in parts."""
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


# Pictures.


def picture(provider):
    """The bytes of a picture, in the words of the provider."""

    def look(outcome, body):
        yield from answered(outcome)
        if provider == "openai":
            seen = [part["image_url"]["url"] for part in body["messages"][-1]["content"] if part["type"] == "image_url"]
            yield from differs("picture", [DATA_URL], seen)
        elif provider == "anthropic":
            seen = [part["source"] for part in body["messages"][-1]["content"] if part["type"] == "image"]
            yield from differs("picture", [{"type": "base64", "media_type": "image/png", "data": PNG}], seen)
        else:
            seen = [part["inlineData"] for part in body["contents"][-1]["parts"] if "inlineData" in part]
            yield from differs("picture", [{"mimeType": "image/png", "data": PNG}], seen)

    return look


# Answers in a form.


def formed(provider):
    """The schema of the answer, in the words of the provider."""

    def look(outcome, body):
        yield from answered(outcome)
        if provider == "openai":
            schema = body["response_format"]["json_schema"]["schema"]
        elif provider == "anthropic":
            # A model that is not known to have such a mode is told in words.
            shaped = body.get("output_config", {}).get("format") or body.get("output_format")
            told = text_of(body.get("system", "")) if not shaped else ""
            schema = shaped["schema"] if shaped else json.loads(told[told.index("{") : told.rindex("}") + 1])
        else:
            config = body["generationConfig"]
            yield from differs("media type", "application/json", config["responseMimeType"])
            schema = config.get("responseJsonSchema") or config["responseSchema"]
        yield from differs("required", sorted(PROPERTIES), sorted(schema["required"]))
        yield from in_order(schema)

    return look


# What cannot be given on.


def dropped(*names):
    """The request is answered, and a header says what the model was not told."""

    def look(outcome, body):
        yield from answered(outcome)
        said = outcome["headers"].get("x-turnwise-dropped-params") or ""
        sent = json.dumps(body).replace("topK", "top_k")
        missing = [name for name in names if name not in said.replace(" ", "").split(",") and name not in sent]
        yield from differs("said to be dropped", [], missing)

    return look


def refused(field):
    """A clear 400 that names the field, and nobody is called."""

    def look(outcome, body):
        error = outcome["error"] or {
            "class": "an answer",
            "status": None,
            "message": "",
            "param": None,
            "category": None,
        }
        yield from differs("class", "BadRequestError", error["class"])
        yield from differs("category", "VALIDATION_ERROR", error["category"])
        yield from differs("names the field", True, field in error["message"] or field in (error["param"] or ""))
        yield from differs("calls", None, body)

    return look


def counted(outcome, _body):
    """Tokens of a message, before it is sent."""
    yield from answered(outcome)
    yield from differs("tokens", True, bool(outcome["usage"]) and outcome["usage"][0] > 0)


def embedded(outcome, body):
    """Vectors as the upstream made them."""
    yield from answered(outcome)
    yield from differs("vectors", [VECTOR, VECTOR], json.loads(outcome["text"]))
    yield from differs("input", ["one", "two"], body["input"])


def system_joined(outcome, body):
    """System messages are hoisted and joined, turns of one role merged, and nothing is empty."""
    yield from answered(outcome)
    yield from differs("roles", ["user", "assistant", "user"], [message["role"] for message in body["messages"]])
    system = text_of(body["system"])
    yield from differs("system", True, "First rule." in system and "Second rule." in system)
    yield from differs("merged", True, all(text in json.dumps(body["messages"][0]) for text in ("One.", "Two.")))
    blocks = [
        block for message in body["messages"] if isinstance(message["content"], list) for block in message["content"]
    ]
    yield from differs("empty blocks", [], [block for block in blocks if block.get("text") == ""])


IMAGE_PARTS = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": DATA_URL}}]
RESPONSES_PARTS = [
    {"type": "input_text", "text": "What is it?"},
    {"type": "input_image", "image_url": DATA_URL, "detail": "auto"},
]
ANTHROPIC_PARTS = [
    {"type": "text", "text": "What is it?"},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
]
OPENAI_FORM = {
    "response_format": {"type": "json_schema", "json_schema": {"name": "fruit", "strict": True, "schema": SCHEMA}}
}
RESPONSES_FORM = {"text": {"format": {"type": "json_schema", "name": "fruit", "strict": True, "schema": SCHEMA}}}
ANTHROPIC_FORM = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
MIXED = [
    {"role": "system", "content": "First rule."},
    {"role": "user", "content": "One."},
    {"role": "user", "content": "Two."},
    {"role": "assistant", "content": "Well."},
    {"role": "system", "content": "Second rule."},
    {"role": "user", "content": "Three."},
]
AUDIO = {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}}]}
FILE = {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}
ROUNDS = {"openai": openai_round, "anthropic": anthropic_round, "gemini": gemini_round}


def user(parts):
    """A message of the user."""
    return [{"role": "user", "content": parts}]


def everywhere():
    """What every format must be able to say to every provider."""
    for provider, look in ROUNDS.items():
        yield Crossing("round", "chat", provider, OPENAI_ROUND, look)
        yield Crossing("round", "responses", provider, RESPONSES_ROUND, look)
        yield Crossing("round", "messages", provider, ANTHROPIC_ROUND, look)
        yield Crossing("picture", "chat", provider, {"messages": user(IMAGE_PARTS)}, picture(provider))
        yield Crossing("picture", "responses", provider, {"input": user(RESPONSES_PARTS)}, picture(provider))
        yield Crossing("picture", "messages", provider, {"messages": user(ANTHROPIC_PARTS)}, picture(provider))
        yield Crossing("form", "chat", provider, OPENAI_FORM, formed(provider))
        yield Crossing("form", "responses", provider, RESPONSES_FORM, formed(provider))
        yield Crossing("form", "messages", provider, ANTHROPIC_FORM, formed(provider))
        yield Crossing("count", "count-tokens", provider, {}, counted)


SEARCH = {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}
CROSSINGS = (
    *everywhere(),
    Crossing(
        "unknown",
        "chat",
        "openai",
        {**OPENAI_ROUND, "seed": 7, "logit_bias": {"50256": -100}, "extra_body": UNKNOWN},
        passed_through,
    ),
    Crossing(
        "unknown",
        "chat-stream",
        "openai",
        {**OPENAI_ROUND, "seed": 7, "logit_bias": {"50256": -100}, "extra_body": UNKNOWN},
        passed_through,
    ),
    Crossing("embeddings", "embeddings", "openai", {}, embedded),
    Crossing("mixed", "chat", "anthropic", {"messages": MIXED}, system_joined),
    Crossing(
        "dropped",
        "chat",
        "anthropic",
        {"seed": 7, "logit_bias": {"1": 1}, "presence_penalty": 0.5},
        dropped("seed", "logit_bias", "presence_penalty"),
    ),
    Crossing("dropped", "chat-stream", "anthropic", {"seed": 7, "logit_bias": {"1": 1}}, dropped("seed", "logit_bias")),
    Crossing("dropped", "chat", "gemini", {"logit_bias": {"1": 1}, "user": "ada"}, dropped("logit_bias")),
    Crossing("dropped", "messages", "openai", {"extra_body": {"top_k": 5}}, dropped("top_k")),
    Crossing(
        "dropped", "messages", "gemini", {"extra_body": {"top_k": 5}, "metadata": {"user_id": "ada"}}, dropped("top_k")
    ),
    Crossing("several", "chat", "anthropic", {"n": 2}, refused("n")),
    Crossing("audio", "chat", "anthropic", {"messages": [AUDIO]}, refused("audio")),
    Crossing("file", "chat", "anthropic", {"messages": [FILE]}, refused("file")),
    Crossing("file", "chat", "gemini", {"messages": [FILE]}, refused("file")),
    Crossing("search", "messages", "anthropic", SEARCH, refused("web_search")),
    Crossing("search", "messages", "openai", SEARCH, refused("web_search")),
)
