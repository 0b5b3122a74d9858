"""Requests that schemathesis makes up from the OpenAPI document: whatever is asked, the answer is one of the document.

    python infra/emulate/schema_fuzz.py [--binary target/release/turnwise] [--seed 1] [--examples 10]

Everything is asked with a key of the table that has all scopes, and with the operator's key, at the same time. What
schemathesis says and counts is left in target/emulate/schema-fuzz.
"""

import argparse
import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from http_client import expect, request
from local import BINARY, local
from processes import ROOT, WORK, say

PROGRAM = ROOT / "target/tools/schemathesis/bin/schemathesis"
FOLDER = WORK / "schema-fuzz"
SCOPES = ["generate", "read", "reports", "admin"]
REQUEST_TIMEOUT_S = 20  # the longest that something is waited for is 25 s, and nothing here is
RUN_TIMEOUT_S = 400
COPIES = 4  # of what has an id
CONFIGURATIONS = {
    # What is only counted is read by the same code as what is answered.
    "key": """
[[operations]]
include-path-regex = "(count_tokens|input_tokens)$"
phases.coverage.enabled = false
""",
    # Outside of /admin the operator's key is a key like any other, whose requests are not worth going through twice.
    "operator": """
[[operations]]
exclude-path-regex = "^/admin/"
phases.coverage.enabled = false
""",
}
CHECKS = [
    "not_a_server_error",
    "content_type_conformance",
    "status_code_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
]


class Client:
    """Asks as the owner of a key."""

    def __init__(self, url, key):
        self.url = url
        self.headers = {"authorization": f"Bearer {key}"}

    def post(self, path, body, status=200):
        """What a request made."""
        answer = request("POST", self.url + path, body, self.headers)
        expect(f"POST {path}", answer.status, status)
        return answer.json()


def create_key(client, name):
    """A new key with all scopes, that may ask as often as it likes."""
    limits = {"requests_per_minute": 1_000_000}
    return client.post("/admin/keys", {"name": name, "scopes": SCOPES, "limits": limits}, 201)


def create_known(client, name):
    """Something of everything that has an id: by the beginning of the path and the name of the parameter."""
    known = collections.defaultdict(lambda: collections.defaultdict(list))
    known["/v1/models"]["id"] = ["local/echo", "local/hash-embedding"]
    known["/admin/tenants"]["tenant"] = ["fuzzed"]
    for number in range(COPIES):
        item = {"role": "user", "content": f"Item {number}"}
        conversation = client.post("/v1/conversations", {"items": [item]})
        path = f"/v1/conversations/{conversation['id']}/items"
        known["/v1/conversations"]["id"].append(conversation["id"])
        known["/v1/conversations"]["item"].append(client.post(path, {"items": [item]})["data"][0]["id"])
        # What runs in the background can be cancelled.
        response = {"model": "local/echo", "input": f"Response {number}", "background": True}
        known["/v1/responses"]["id"].append(client.post("/v1/responses", response)["id"])
        turn = {"session_id": f"{name}-{number}", "turn_id": "1", "message": f"Turn {number}"}
        known["/v1/threads"]["id"].append(client.post("/v1/chat", turn)["thread_id"])
        known["/v1/turns"]["key"].append(f"{name}-{number}:1")
        known["/admin/keys"]["id"].append(create_key(client, f"{name} {number}")["id"])
        known["/admin/conversations"]["id"].append(client.post("/v1/conversations", {})["id"])
    known["/admin/locks"]["conversation"] = known["/v1/conversations"]["id"]
    return known


def fuzz(name, client, spared, options):
    """Starts schemathesis, its output in target/emulate/schema-fuzz/NAME."""
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "schemathesis.toml").write_text(CONFIGURATIONS[name])
    env = {
        "PYTHONPATH": ROOT / "infra/emulate",
        "SCHEMATHESIS_HOOKS": "schema_checks.hooks",
        "SCHEMA_FUZZ_KNOWN": json.dumps(create_known(client, name)),
        "SCHEMA_FUZZ_SPARED": json.dumps(spared),
    }
    command = [PROGRAM, "run", f"{client.url}/openapi.json", "--seed", options.seed, "--max-examples", options.examples]
    command += ["--phases", "examples,coverage,fuzzing", "--checks", ",".join(CHECKS), "--continue-on-failure"]
    # More than one thread meets a defect of Python 3.11: "AST constructor recursion depth mismatch".
    command += ["--workers", 1, "--request-timeout", REQUEST_TIMEOUT_S, "--generation-database", "none", "--no-shrink"]
    command += ["--no-color", "--warnings", "off", "--header", f"Authorization: {client.headers['authorization']}"]
    with (folder / "output.txt").open("w") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env={**os.environ, **{key: str(value) for key, value in env.items()}},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def wait(processes):
    """Waits until all have ended, not for ever."""
    deadline = time.monotonic() + RUN_TIMEOUT_S
    try:
        for name, process in processes.items():
            process.wait(max(0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        sys.exit(f"error: {name}: not within {RUN_TIMEOUT_S} s")
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


def report(name, process):
    """Says what was answered, and returns whether schemathesis found nothing."""
    output = (FOLDER / name / "output.txt").read_text()
    if process.returncode != 0:
        print(output, file=sys.stderr)
        return False
    answers = json.loads((FOLDER / name / "answers.json").read_text())
    statuses = sum((collections.Counter(counts) for counts in answers.values()), collections.Counter())
    say(f"{name}: {sum(statuses.values())} answers: {', '.join(f'{n} x {s}' for s, n in sorted(statuses.items()))}")
    failed = sorted(operation for operation, counts in answers.items() if not any(s.startswith("2") for s in counts))
    say(f"{name}: {len(answers)} operations; none of their requests was a good one: {', '.join(failed) or '-'}")
    return True


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--binary", type=pathlib.Path, default=BINARY)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--examples", type=int, default=10)
    options = arguments.parse_args()
    with local("schema-fuzz", options.binary.resolve()) as running:
        operator = Client(running.url, running.key)
        key = create_key(operator, "schemathesis")
        # The key itself and what holds for it are left alone.
        clients = {"key": Client(running.url, key["key"]), "operator": operator}
        say(f"seed {options.seed}, {options.examples} made up requests of an operation")
        processes = {name: fuzz(name, client, [key["id"], key["tenant"]], options) for name, client in clients.items()}
        wait(processes)
        fine = [report(name, process) for name, process in processes.items()]
        for name, client in clients.items():
            answer = request("GET", f"{client.url}/admin/keys/{key['id']}", headers=client.headers)
            expect(f"{name}: its key is accepted", answer.status, 200)
        expect("the runner is alive", running.process.poll(), None)
        expect("schemathesis found nothing", fine, [True, True])


if __name__ == "__main__":
    main()
