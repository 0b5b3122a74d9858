"""Official clients through the gateway, in front of upstreams that fail on purpose.

    python infra/emulate/faults.py [--binary target/release/turnwise] [--only SCENARIO ...]

Every client asks, on each of its surfaces, for an answer of each upstream in each scenario; what must come of it is in
fault_checks/expected.py. What did come of it is left in target/emulate/faults.jsonl.
"""

import argparse
import collections
import contextlib
import json
import pathlib
import sys
import time

from fault_checks import breakers, crossings, expected, headers, matrix
from fault_checks.scenarios import SCENARIOS
from http_client import expect
from processes import ROOT, WORK, answers, free_port, kill, log_shown, say, start, wait_until
from upstreams import PROVIDERS, Upstreams

BINARY = ROOT / "target/release/turnwise"
DEV_KEY = "tw_live_sample_0123456789abcdefghijklmnopqrstuv"
START_TIMEOUT_S = 60
MOST_MEMORY_MB = 400  # after everything: thousands of turns are kept in memory, hostile answers are not
MOST_SHOWN = 200  # lines about deviations
TIMEOUTS = "; ".join(f"{name}/hang* first_token=800ms between_tokens=800ms total=1500ms" for name in PROVIDERS)


class Gateway:
    """The local runner in memory, in front of the upstreams."""

    def __init__(self, binary, upstreams):
        self.key = DEV_KEY
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        settings = {
            "TURNWISE_PORT": str(self.port),
            "TURNWISE_DEV_KEY": self.key,
            "TURNWISE_RETRY_INITIAL_MS": "20",
            "TURNWISE_TIMEOUTS": TIMEOUTS,
            # Nobody listens there.
            "GROQ_BASE_URL": f"http://127.0.0.1:{free_port()}/v1",
            "GROQ_API_KEY": "nobody-reads-this",
            **upstreams.environment(),
        }
        self.process = start("faults", [binary, "serve", "--memory"], settings, "w")
        wait_until("the gateway answers", lambda: answers(f"{self.url}/healthz"), START_TIMEOUT_S, self.process)

    def memory_mb(self, field="VmRSS"):
        """What it holds in memory now, or held at most (VmHWM)."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) // 1024
        raise RuntimeError(f"there is no {field}")


@contextlib.contextmanager
def gateway(binary, upstreams):
    """Runs the gateway until the block ends."""
    with log_shown("faults"):
        running = Gateway(binary, upstreams)
        try:
            yield running
        finally:
            # Some requests wait for a minute, and nothing is kept.
            kill(running.process)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--binary", type=pathlib.Path, default=BINARY)
    arguments.add_argument("--only", nargs="*", default=list(SCENARIOS))
    options = arguments.parse_args()
    if not options.binary.exists():
        sys.exit(f"error: {options.binary} is not built: cargo build --release")
    with Upstreams() as upstreams, gateway(options.binary, upstreams) as running:
        # Looked at first, so that nothing else has happened yet.
        found = breakers.check(running, upstreams)
        found += crossings.check(running, upstreams)
        found += run_matrix(running, upstreams, options.only) if options.only else []
        found += headers.check(running, upstreams)
        expect("the gateway is alive", running.process.poll(), None)
    report(found)


def run_matrix(running, upstreams, scenarios):
    """All clients in all scenarios; returns what deviates."""
    began, before = time.monotonic(), running.memory_mb()
    jobs = list(matrix.jobs_of(scenarios, PROVIDERS))
    outcomes = matrix.run(running, jobs)
    after, most = running.memory_mb(), running.memory_mb("VmHWM")
    took = time.monotonic() - began
    say(f"{len(jobs)} requests in {took:.0f} s; memory: {before} MB before, {after} MB after, {most} MB at most")
    found = []
    with (WORK / "faults.jsonl").open("w") as file:
        for job in jobs:
            outcome, made = outcomes[job.key], len(upstreams.calls[job.key])
            file.write(json.dumps({**vars(job), **outcome, "made": made}) + "\n")
            found += [(job, *deviation) for deviation in expected.deviations(job, outcome, made)]
    if after > MOST_MEMORY_MB:
        found.append((matrix.Job("-", "-", "-", "memory"), "memory", f"at most {MOST_MEMORY_MB} MB", after))
    return found


def report(found):
    """Says what deviates, ends the script if some of it is not known, and names what is known and was not found."""
    unknown, seen = [], collections.Counter()
    for job, what, wanted, got in found:
        if known := expected.known(job, what):
            seen[known[0]] += 1
        else:
            unknown.append(f"{what}: {job.key}: expected {wanted!r}, got {got!r}")
    for patterns, reason in expected.KNOWN.items():
        say(f"known, {seen[patterns]} times: {' '.join(patterns)}: {reason}")
    if unknown:
        sys.exit("\n".join([*(f"error: {line}" for line in unknown[:MOST_SHOWN]), f"error: {len(unknown)} deviations"]))


if __name__ == "__main__":
    main()
