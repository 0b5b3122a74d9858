"""Official clients through the gateway, in front of upstreams that fail on purpose.

    python infra/emulate/faults.py [--binary target/release/turnwise] [--only SCENARIO ...]

Every client asks, on each of its surfaces, for an answer of each upstream in each scenario; what must come of it is in
fault_checks/expected.py. What did come of it is left in target/emulate/faults.jsonl.
"""

import argparse
import contextlib
import json
import pathlib
import sys
import time

from fault_checks import matrix
from fault_checks.scenarios import SCENARIOS
from processes import ROOT, WORK, answers, free_port, kill, log_shown, say, start, wait_until
from upstreams import PROVIDERS, Upstreams

BINARY = ROOT / "target/release/turnwise"
DEV_KEY = "tw_live_sample_0123456789abcdefghijklmnopqrstuv"
START_TIMEOUT_S = 60
TIMEOUTS = "; ".join(f"{name}/hang* first_token=800ms between_tokens=800ms total=5s" for name in PROVIDERS)


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


def jobs_of(scenarios):
    for client in matrix.CLIENTS.values():
        for surface in client.surfaces:
            for provider in PROVIDERS:
                for scenario in scenarios:
                    timeout = matrix.LONG_WAIT_S if scenario == "429-60s" else None
                    yield matrix.Job(client.name, surface, provider, scenario, timeout=timeout)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--binary", type=pathlib.Path, default=BINARY)
    arguments.add_argument("--only", nargs="*", default=list(SCENARIOS))
    options = arguments.parse_args()
    if not options.binary.exists():
        sys.exit(f"error: {options.binary} is not built")
    with Upstreams() as upstreams, gateway(options.binary, upstreams) as running:
        began = time.monotonic()
        before = running.memory_mb()
        jobs = list(jobs_of(options.only))
        outcomes = matrix.run(running, jobs)
        say(f"{len(jobs)} jobs in {time.monotonic() - began:.0f} s, {before} -> {running.memory_mb()} MB, at most {running.memory_mb('VmHWM')}")
        with (WORK / "faults.jsonl").open("w") as file:
            for job in jobs:
                outcome = outcomes[job.key]
                outcome["made"] = len(upstreams.calls[job.key])
                file.write(json.dumps({**vars(job), **outcome}) + "\n")


if __name__ == "__main__":
    main()
