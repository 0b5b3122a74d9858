"""Deploys template.yaml with the real packages to the emulated cloud and uses it through its API Gateway.

    python infra/emulate/deploy.py target/package/zip

Proves the template, the roles (IAM is enforced), the environment of the functions and the path of a message from the
queue to the worker. What it cannot show, streaming, is streaming.py's business.
"""

import contextlib
import json
import os
import pathlib
import signal
import sys
import threading

from cloud import ADMIN_KEY, API_KEY, PAGE, SECRETS, STACK, cloud, deploy, refused
from http_client import Answer, expect, request
from processes import ROOT, say, wait_until

TENANT = "default"
# A lease lasts 30 s, and clocks may differ by 2 s: only after that may another attempt take the turn.
LEASE_LAPSED_S = 33
STREAM_PRELUDE_END = b"\0" * 8


class Gateway:
    """The deployed API, as a client with a key sees it."""

    def __init__(self, running, outputs, stage="v0"):
        self.base = f"{running.endpoint}/restapis/{outputs['ApiId']}/{stage}/_user_request_"

    def call(self, method, path, body=None, key=API_KEY, **headers):
        """One request through API Gateway."""
        authorization = {"authorization": f"Bearer {key}"} if key else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = request(method, self.base + path, body, {**authorization, **named})
        return without_prelude(answer)


def without_prelude(answer):
    """What a streaming integration would have made of the answer.

    A function that streams sends status and headers as JSON, eight NUL bytes, then the body. The real gateway takes
    that apart; the emulator's buffered integration hands it through.
    """
    head, separator, body = answer.body.partition(STREAM_PRELUDE_END)
    if not separator:
        return answer
    prelude = json.loads(head)
    headers = {name.lower(): value for name, value in prelude["headers"].items()}
    return Answer(prelude["statusCode"], headers, body)


def check_gateway_errors(api):
    """What the gateway refuses by itself has our error body."""
    for method, path in [("GET", "/no/such/route"), ("DELETE", "/v1/chat")]:
        answer = api.call(method, path)
        expect(f"{method} {path}", answer.status, 404)
        error = answer.json()["error"]
        expect("its code", (error["type"], error["code"], error["param"]), ("not_found_error", "route_not_found", None))
        expect("its request id", error["request_id"], answer.headers["x-request-id"])
        own = api.call("GET", "/v1/turns/no:such-turn").json()["error"]
        expect("its fields", sorted(error), sorted(own))
    say("unknown routes: 404, with the fields that our own errors have")


def check_access(api):
    """Without a key nothing is served but the public routes."""
    expect("no key", api.call("POST", "/v1/chat", {"message": "hello"}, key=None).status, 401)
    expect("wrong key", api.call("GET", "/v1/threads", key="wrong").status, 401)
    for public in ["/healthz", "/openapi.json"]:
        expect(public, api.call("GET", public, key=None).status, 200)
    expect("/readyz", api.call("GET", "/readyz").status, 200)
    say("keys are asked for, health is public, the table and the queue are ready")


def check_secrets(running, api):
    """What is in the Parameter Store alone, and in no function's environment or log. Keys of the table need a pepper."""
    providers = [provider["id"] for provider in api.call("GET", "/v1/providers").json()["data"]]
    expect("the provider of a key in the Parameter Store is configured", "xai" in providers, True)
    for function in ("StreamFunction", "ModelsFunction"):
        for environment in function_processes(function).values():
            shown = [name for name, value in SECRETS.items() if value in environment.values()]
            expect(f"secrets in the environment of {function}", shown, [])
    logs = running.client("logs")
    for group in logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]:
        events = logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
        shown = [name for name, value in SECRETS.items() if any(value in event["message"] for event in events)]
        expect(f"secrets in {group['logGroupName']}", shown, [])
    say("secrets are read from the Parameter Store and shown nowhere")


def check_pages(api):
    """What a browser asks before a call, and what it may read of the answer."""
    asked = {"origin": PAGE, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    for path in ["/v1/chat", "/v1/models", "/admin/locks"]:
        # The emulator drops the headers of such answers; `cargo xtask validate` looks at them.
        expect(f"a preflight of {path}", api.call("OPTIONS", path, key=None, **asked).status, 200)
    answer = api.call("GET", "/v1/models", origin=PAGE)
    expect("the page that may read", answer.headers.get("access-control-allow-origin"), PAGE)
    other = api.call("GET", "/v1/models", origin="https://other.example")
    expect("another page", other.headers.get("access-control-allow-origin"), None)
    expect("only HTTPS", answer.headers.get("strict-transport-security"), "max-age=31536000")
    expect("no guessing", answer.headers.get("x-content-type-options"), "nosniff")
    say("a named page may call from a browser, others may not")


def check_turn(api):
    """A turn and its retry: one answer, byte for byte."""
    body = {"message": "hello from the cloud", "session_id": "emulated", "turn_id": "1"}
    first = api.call("POST", "/v1/chat", body)
    expect("a turn", first.status, 200)
    expect("its number", first.json()["turn_number"], 1)
    retry = api.call("POST", "/v1/chat", body)
    expect("its retry", (retry.status, retry.headers.get("idempotent-replayed")), (200, "true"))
    expect("the retry's body", retry.body, first.body)
    other = api.call("POST", "/v1/chat", {**body, "message": "something else"})
    expect("the same key with another message", other.status, 422)
    expect("bad JSON", api.call("POST", "/v1/chat", b"{").status, 400)
    say("a turn, and its retry with the same bytes")

    thread = first.json()["thread_id"]
    expect("the turn by its key", api.call("GET", "/v1/turns/emulated:1").status, 200)
    expect("a turn that is not there", api.call("GET", "/v1/turns/emulated:2").status, 404)
    expect("the thread's turns", api.call("GET", f"/v1/threads/{thread}/turns").status, 200)
    expect("the threads", api.call("GET", "/v1/threads").status, 200)
    say("the turn is read back through its own function")


def check_models(api):
    """Models, one of them with a slash in its id."""
    ids = [model["id"] for model in api.call("GET", "/v1/models").json()["data"]]
    expect("local/echo is listed", "local/echo" in ids, True)
    expect("one model", api.call("GET", "/v1/models/local/echo").json()["id"], "local/echo")
    say(f"{len(ids)} models")


def check_completions(api):
    """Chat completions, idempotent with a key."""
    body = {"model": "local/echo", "messages": [{"role": "user", "content": "one two three"}]}
    first = api.call("POST", "/v1/chat/completions", body, idempotency_key="emulated-completion")
    retry = api.call("POST", "/v1/chat/completions", body, idempotency_key="emulated-completion")
    expect("a completion and its retry", (first.status, retry.status), (200, 200))
    expect("the retry is a replay", retry.headers.get("idempotent-replayed"), "true")
    expect("the retry's body", retry.body, first.body)
    streamed = api.call("POST", "/v1/chat/completions", {**body, "stream": True})
    expect("a streamed completion", streamed.headers["content-type"].split(";")[0], "text/event-stream")
    expect("its last event", streamed.body.rstrip().endswith(b"data: [DONE]"), True)
    say("chat completions, buffered and streamed")


def check_messages(api):
    """Anthropic's messages, idempotent with a key, and their tokens."""
    body = {"model": "local/echo", "max_tokens": 100, "messages": [{"role": "user", "content": "one two three"}]}
    first = api.call("POST", "/v1/messages", body, idempotency_key="emulated-message")
    retry = api.call("POST", "/v1/messages", body, idempotency_key="emulated-message")
    expect("a message and its retry", (first.status, retry.status), (200, 200))
    expect("the retry is a replay", retry.headers.get("idempotent-replayed"), "true")
    expect("the retry's body", retry.body, first.body)
    streamed = api.call("POST", "/v1/messages", {**body, "stream": True})
    expect("a streamed message", streamed.headers["content-type"].split(";")[0], "text/event-stream")
    expect("its last event", b"event: message_stop" in streamed.body, True)
    counted = api.call("POST", "/v1/messages/count_tokens", body)
    expect("its tokens", counted.json()["input_tokens"] > 0, True)
    wrong = api.call("POST", "/v1/messages", {"model": "local/echo"})
    expect("an error in Anthropic's shape", (wrong.status, wrong.json()["type"]), (400, "error"))
    say("messages, buffered and streamed, and their tokens")


def check_embeddings(api):
    """Embeddings, through the function that answers."""
    body = {"model": "local/hash-embedding", "input": ["one two", "three"], "dimensions": 8}
    answer = api.call("POST", "/v1/embeddings", body)
    expect("embeddings", answer.status, 200)
    expect("a vector for each text", [len(item["embedding"]) for item in answer.json()["data"]], [8, 8])
    say("embeddings")


def check_responses(api):
    """Conversations and responses, each through the function that serves it."""
    created = api.call("POST", "/v1/conversations", {"metadata": {"who": "ada"}})
    expect("a conversation", (created.status, created.json()["object"]), (200, "conversation"))
    conversation = created.json()["id"]
    body = {"model": "local/echo", "input": "one", "conversation": conversation}
    first = api.call("POST", "/v1/responses", body)
    expect("a response", (first.status, first.json()["status"]), (200, "completed"))
    path = f"/v1/responses/{first.json()['id']}"
    expect("it is read back", api.call("GET", path).body, first.body)
    items = api.call("GET", f"/v1/conversations/{conversation}/items?order=asc").json()["data"]
    expect("the conversation's items", [item["role"] for item in items], ["user", "assistant"])
    later = api.call("POST", "/v1/responses", {"model": "local/echo", "input": "two", "background": True})
    expect("one in the background", (later.status, later.json()["status"]), (200, "queued"))
    background = f"/v1/responses/{later.json()['id']}"
    wait_until("the worker makes it", lambda: api.call("GET", background).json()["status"] == "completed", 60)
    expect("it is deleted", api.call("DELETE", path).json()["deleted"], True)
    expect("and gone", api.call("GET", path).status, 404)
    deleted = api.call("DELETE", f"/v1/conversations/{conversation}")
    expect("the conversation is deleted", deleted.json()["deleted"], True)
    say("conversations and responses, also in the background")


def function_processes(logical_id):
    """The processes of one of the stack's functions, each id with the environment that tells it."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            pairs = (entry / "environ").read_text(errors="replace").split("\0")
            environment = dict(pair.partition("=")[::2] for pair in pairs)
            if environment.get("AWS_LAMBDA_FUNCTION_NAME", "").startswith(f"{STACK}-{logical_id}-"):
                found[int(entry.name)] = environment
    return found


def check_roles(running, table, queue_url):
    """What the roles keep the functions from doing; what they allow, every other check shows."""
    key = {"pk": {"S": "none"}, "sk": {"S": "none"}}
    entry = {"pk": {"S": "A#default#20261121#0"}, "sk": {"S": "none"}}
    forbidden = {
        "scan the table": lambda role: role("dynamodb").scan(TableName=table),
        "delete a row": lambda role: role("dynamodb").delete_item(TableName=table, Key=key),
        "write a row": lambda role: role("dynamodb").put_item(TableName=table, Item=key),
        "take a message": lambda role: role("sqs").receive_message(QueueUrl=queue_url),
        "send a message": lambda role: role("sqs").send_message(QueueUrl=queue_url, MessageBody="{}"),
        # What else is denied for entries is denied by their keys, which the emulator does not look at:
        # `cargo xtask validate` looks at the statements.
        "delete an audit entry by a statement": lambda role: role("dynamodb").execute_statement(
            Statement=f"DELETE FROM \"{table}\" WHERE pk = '{entry['pk']['S']}' AND sk = '{entry['sk']['S']}'"
        ),
    }
    allowed = {
        "StreamFunction": {"write a row", "delete a row", "send a message"},
        "ConversationsFunction": {"write a row", "delete a row", "send a message"},
        # Lines of the audit log only, which the emulator does not look at.
        "ModelsFunction": {"write a row"},
        "AdminFunction": {"write a row", "delete a row", "send a message"},
        "WorkerFunction": {"write a row", "delete a row", "take a message", "send a message"},
        "TimersFunction": {"send a message"},
    }
    for function, may in allowed.items():
        environment = next(iter(function_processes(function).values()))
        for what, action in forbidden.items():
            if what not in may:
                refusal = refused(lambda: action(lambda service: running.client(service, environment)))
                expect(f"{function} may not {what}", refusal, True)
    say("no role may do more than it needs")


def check_takeover(running, api, queue_url):
    """A function killed in mid-turn: a hint on the queue makes the worker finish the turn."""
    body = {
        "message": " ".join(["word"] * 60),
        "session_id": "killed",
        "turn_id": "1",
        "echo_delay_ms": 200,
    }

    def post():
        with contextlib.suppress(OSError):  # the connection of a killed function ends as it likes
            api.call("POST", "/v1/chat", body)

    client = threading.Thread(target=post)
    client.start()

    def turn():
        answer = api.call("GET", "/v1/turns/killed:1")
        return answer.json() if answer.status == 200 else None

    wait_until("the turn is at work", turn, 15)
    for pid in function_processes("StreamFunction"):
        os.kill(pid, signal.SIGKILL)
    say("killed the stream function in mid-turn")

    send_hint(running, queue_url, "killed", delay_s=LEASE_LAPSED_S)
    done = wait_until("the worker finishes the turn", lambda: (turn() or {}).get("status") == "COMPLETED", 90)
    expect("the turn is complete", done, True)
    client.join()
    expect("its number", turn()["turn_number"], 1)
    say("the worker took the turn over and committed it as number 1")


def send_hint(running, queue_url, conversation, delay_s=0):
    """Puts the message of infra/events/sqs-turn.json on the queue, for another conversation."""
    event = json.loads((ROOT / "infra/events/sqs-turn.json").read_text())
    message = json.loads(event["Records"][0]["body"])
    message["tenant"] = TENANT
    message["key"] = {"conversation": conversation, "turn": "1"}
    running.client("sqs").send_message(QueueUrl=queue_url, MessageBody=json.dumps(message), DelaySeconds=delay_s)


def check_queue(running, queue_url):
    """A hint about a turn that is complete is done with: the message goes away."""
    send_hint(running, queue_url, "emulated")
    sqs = running.client("sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

    def drained():
        counts = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
        return all(counts[name] == "0" for name in names)

    wait_until("the queue is empty", drained, 30)
    expect("the worker has run", bool(function_processes("WorkerFunction")), True)
    say("a hint about a finished turn is taken off the queue")


def check_queued_turns(api):
    """Turns that nobody waits for: accepted, run by the worker in their order, one cancelled."""
    later = {"prefer": "respond-async"}
    names = [str(number) for number in range(1, 6)]
    for name in names:
        body = {"message": f"message {name}", "session_id": "queued", "turn_id": name}
        answer = api.call("POST", "/v1/chat", body, **later)
        expect(f"turn {name} is accepted", (answer.status, answer.json()["status"]), (202, "QUEUED"))
        expect("where it is read", answer.headers["location"], f"/v1/turns/queued:{name}")

    def turn(name):
        return api.call("GET", f"/v1/turns/queued:{name}").json()

    def done():
        return all(turn(name)["status"] == "COMPLETED" for name in names)

    wait_until("the worker runs the queue", done, 60)
    expect("their numbers", [turn(name)["turn_number"] for name in names], [1, 2, 3, 4, 5])
    again = api.call("POST", "/v1/chat", {"message": "message 1", "session_id": "queued", "turn_id": "1"}, **later)
    expect("a retry", (again.status, again.headers.get("idempotent-replayed")), (200, "true"))
    expect("too late to cancel", api.call("POST", "/v1/turns/queued:1/cancel").status, 409)
    say("queued turns run through the queue and the worker, in their order")


def check_keys(api):
    """A key of the table: made by the operator, used by its holder through every function, taken back."""
    made = api.call("POST", "/admin/keys", {"name": "emulated", "owner": "ada", "tenant": "acme"}, key=ADMIN_KEY)
    expect("a key", made.status, 201)
    key, path = made.json()["key"], f"/admin/keys/{made.json()['id']}"
    turn = {"message": "hello", "session_id": "mine", "turn_id": "1"}
    expect("a turn with it", api.call("POST", "/v1/chat", turn, key=key).status, 200)
    expect("its history", api.call("GET", "/v1/threads", key=key).status, 200)
    expect("its models", api.call("GET", "/v1/models", key=key).status, 200)
    expect("another tenant's turn", api.call("GET", "/v1/turns/mine:1").status, 404)
    expect("what it is not for", api.call("GET", "/admin/keys", key=key).status, 403)
    expect("when it was used", api.call("GET", path, key=ADMIN_KEY).json()["last_used_at"] is not None, True)
    expect("it is taken back", api.call("POST", path + "/revoke", {}, key=ADMIN_KEY).json()["status"], "revoked")
    expect("by the function that took it back", api.call("GET", "/admin/keys", key=key).status, 401)
    say("a key is made, opens its own tenant only, and is taken back")


def check_admin(api):
    """What an operator sees, with an administrator's key only."""
    for path in ["/admin/locks", "/admin/dead-letters", "/admin/turns", "/admin/health", "/admin/audit"]:
        expect(f"{path} with a user's key", api.call("GET", path).status, 403)
        expect(path, api.call("GET", path, key=ADMIN_KEY).status, 200)
    expect("health", api.call("GET", "/admin/health", key=ADMIN_KEY).json()["status"], "ok")
    release = api.call("POST", "/admin/locks/queued/release", {"reason": "try"}, key=ADMIN_KEY)
    expect("a lock that nobody holds", (release.status, release.json()["error"]["code"]), (409, "lock_not_held"))
    say("locks, dead letters, turns and health, for administrators only")


def check_audit(api):
    """What is done with power over others' data is told, and can be taken along as a file."""
    said = {"message": "forget me", "session_id": "forgotten", "turn_id": "1"}
    expect("a turn", api.call("POST", "/v1/chat", said).status, 200)
    erased = api.call("DELETE", "/admin/conversations/forgotten?reason=asked", key=ADMIN_KEY)
    expect("its erasure", erased.status, 200)
    expect("what is left", api.call("GET", "/v1/threads/forgotten", key=ADMIN_KEY).status, 404)
    export = api.call("GET", "/admin/audit/export?format=csv&subject=forgotten", key=ADMIN_KEY)
    expect("the export", (export.status, export.headers["content-type"]), (200, "text/csv; charset=utf-8"))
    expect("its rows", export.body.decode().count(",conversation.erase,forgotten,"), 1)
    log = api.call("GET", "/admin/audit?limit=2", key=ADMIN_KEY).json()
    expect("the log", [entry["action"] for entry in log["data"]], ["audit.export", "conversation.erase"])
    say("an erasure is in the audit log, and so is who took the log along")


def check_dead_letters(running, api, queue_url, dead_letter_url):
    """A message that is no hint: it fails, comes back, ends in the dead-letter queue, and can be put back."""
    sqs = running.client("sqs")
    # As deployed a failed message comes back after half an hour; here it must not take so long.
    sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"VisibilityTimeout": "1"})
    sqs.send_message(QueueUrl=queue_url, MessageBody="not a hint")

    def dead():
        names = ["ApproximateNumberOfMessages"]
        counts = sqs.get_queue_attributes(QueueUrl=dead_letter_url, AttributeNames=names)["Attributes"]
        return counts["ApproximateNumberOfMessages"] == "1"

    wait_until("the message is given up", dead, 120)
    redriven = api.call("POST", "/admin/dead-letters/redrive", {}, key=ADMIN_KEY)
    expect("it is put back", (redriven.status, redriven.json()["messages"]), (200, 1))
    wait_until("the message is given up again", dead, 120)
    sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"VisibilityTimeout": "1800"})
    say("a message that fails five times is kept in the dead-letter queue and can be put back")


def check_timers(running):
    """The sweep: on a schedule, and with nothing to do here."""
    rules = running.client("events").list_rules()["Rules"]
    expect("the schedule", [rule["ScheduleExpression"] for rule in rules], ["rate(1 minute)"])
    functions = running.client("lambda").list_functions()["Functions"]
    name = next(function["FunctionName"] for function in functions if "-TimersFunction-" in function["FunctionName"])
    answer = running.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    expect("a sweep", json.loads(answer["Payload"].read()), {"stuck": 0, "due": 0, "half_erased": 0})
    say("the sweep runs")


def check_all(running, outputs):
    """Every check, in the order in which they build on each other."""
    api = Gateway(running, outputs)
    check_gateway_errors(api)
    check_access(api)
    check_models(api)
    check_secrets(running, api)
    check_pages(api)
    check_turn(api)
    check_completions(api)
    check_messages(api)
    check_embeddings(api)
    check_responses(api)
    check_queue(running, outputs["QueueUrl"])
    check_queued_turns(api)
    check_keys(api)
    check_admin(api)
    check_audit(api)
    check_timers(running)
    check_dead_letters(running, api, outputs["QueueUrl"], outputs["DeadLetterQueueUrl"])
    check_roles(running, outputs["TableName"], outputs["QueueUrl"])
    check_takeover(running, api, outputs["QueueUrl"])


def print_logs(running):
    """The end of each function's log, for whoever has to find out why a check failed."""
    logs = running.client("logs")
    for group in logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]:
        print(f"--- the end of {group['logGroupName']}", file=sys.stderr)
        for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"][-40:]:
            print(event["message"].rstrip(), file=sys.stderr)


def main():
    packages = pathlib.Path(sys.argv[1])
    with cloud() as running:
        outputs = deploy(running, packages)
        try:
            check_all(running, outputs)
        except BaseException:
            print_logs(running)
            raise


if __name__ == "__main__":
    main()
