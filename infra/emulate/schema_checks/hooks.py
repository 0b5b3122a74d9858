"""What schemathesis is told beyond the OpenAPI document; it loads this file, as SCHEMATHESIS_HOOKS names it."""

import atexit
import collections
import itertools
import json
import os
import pathlib

import schemathesis

from schema_checks.bodies import BODIES, FIELDS, VALUES

KNOWN = json.loads(os.environ["SCHEMA_FUZZ_KNOWN"])  # ids that exist, by the beginning of a path and a parameter
SPARED = set(json.loads(os.environ["SCHEMA_FUZZ_SPARED"]))  # ids that no request names
calls = itertools.count()
answers = collections.defaultdict(collections.Counter)


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Describes what the document leaves to others, and names ids that exist."""
    schemas = raw_schema["components"]["schemas"]
    for name, fields in FIELDS.items():
        schemas[name]["properties"].update(fields)
    for path, body in BODIES.items():
        raw_schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"] = body
    for path, operations in raw_schema["paths"].items():
        known = next((ids for prefix, ids in KNOWN.items() if path.startswith(prefix)), {})
        for method, operation in operations.items():
            for response in operation["responses"].values():
                # It would hold every single event against what the document says of the stream as a text.
                if stream := response.get("content", {}).get("text/event-stream"):
                    stream.pop("schema", None)
            for parameter in operation.get("parameters", []):
                parameter["schema"] = VALUES.get(parameter["name"], parameter["schema"])
                if parameter["in"] == "path" and parameter["name"] in known:
                    # Others come up as what the schema does not allow. The last one may be lost, the rest stays.
                    *kept, last = known[parameter["name"]]
                    is_lost = method == "delete" or path.endswith("/revoke")
                    parameter["schema"] = {"enum": [last] if is_lost or not kept else kept}


@schemathesis.hook
def filter_case(context, case):
    """Leaves out what would take the keys away that the rest is asked with."""
    return SPARED.isdisjoint(str(value) for value in (case.path_parameters or {}).values())


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes idempotency keys others each time but one: the least that can be made up is made up again and again."""
    if key := (case.headers or {}).get("Idempotency-Key"):
        case.headers["Idempotency-Key"] = f"{key}{next(calls) // 2}"


@schemathesis.hook
def after_call(context, case, response):
    """Counts the answers of each operation."""
    answers[f"{case.operation.method.upper()} {case.operation.path}"][str(response.status_code)] += 1


@atexit.register
def leave_answers():
    """Leaves the counts to who started this."""
    pathlib.Path("answers.json").write_text(json.dumps(answers, indent=1))
