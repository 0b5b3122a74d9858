"""Which client asks what of whom: the jobs of a run, and running them."""

import concurrent.futures
import dataclasses
import json
import os
import subprocess

from processes import ROOT

HERE = ROOT / "infra/emulate/fault_checks"
TOOLS = ROOT / "target/tools"
DRIVER_TIMEOUT_S = 400
LONG_WAIT_S = 4  # the patience of a client whose upstream asks for a minute

OPENAI_SURFACES = ("chat", "chat-stream", "chat-helper", "responses", "responses-stream")
ANTHROPIC_SURFACES = ("messages", "messages-stream", "messages-helper")


@dataclasses.dataclass(frozen=True)
class Client:
    """An official client: the program that drives it, and what it can ask."""

    name: str
    command: tuple
    surfaces: tuple

    @property
    def is_node(self):
        """Whether it is one for Node.js."""
        return self.command[0] == "node"


def python(name, environment, package, surfaces):
    """A client for Python, from one of the environments of `cargo xtask tools`."""
    return Client(name, (str(TOOLS / environment / "bin/python"), str(HERE / "driver.py"), package), surfaces)


def node(name, package, surfaces):
    """A client for Node.js."""
    return Client(name, ("node", str(HERE / "driver.mjs"), package), surfaces)


CLIENTS = {
    client.name: client
    for client in (
        python("openai-python-3", "emulate", "openai", OPENAI_SURFACES),
        python("openai-python-2", "openai-2", "openai", OPENAI_SURFACES),
        node("openai-node", "openai", OPENAI_SURFACES),
        python("anthropic-python", "emulate", "anthropic", ANTHROPIC_SURFACES),
        node("anthropic-node", "@anthropic-ai/sdk", ANTHROPIC_SURFACES),
    )
}


@dataclasses.dataclass(frozen=True)
class Job:
    """One request of one client. `retries` is the client's own setting; None is what it does by itself."""

    client: str
    surface: str
    provider: str
    scenario: str
    retries: int | None = 0
    note: str = ""
    body: dict = dataclasses.field(default_factory=dict, hash=False, compare=False)
    timeout: float | None = None

    @property
    def id(self):
        """What tells it from all others."""
        retries = "default" if self.retries is None else self.retries
        return f"{self.scenario}.{self.client}-{self.surface}-{retries}{self.note}"

    @property
    def key(self):
        """The same across upstreams: the model's name at its provider, with it."""
        return f"{self.provider}/{self.id}"

    @property
    def is_streamed(self):
        """Whether the answer is asked for as a stream."""
        return self.surface.endswith(("-stream", "-helper"))

    def line(self):
        """What the driver is told."""
        told = {"id": self.key, "surface": self.surface, "model": self.key, "retries": self.retries, "body": self.body}
        return {**told, "timeout": self.timeout} if self.timeout else told


# Asked for with the client's own retries as well, which must not multiply ours.
RETRIED = ("ok", "500-once", "503", "429", "401", "402", "400", "404", "hang")
RETRIED += ("reset-first", "html", "rubbish", "cut", "error-event")

# The helpers read the same streams as the loops by hand, so that they are asked where they do something of their own.
HELPED = (
    "ok",
    "tools",
    "tools-parallel",
    "tools-odd",
    "refusal",
    "length",
    "filter",
    "no-usage",
    "usage-twice",
    "slow",
)
HELPED += ("503", "reset", "cut", "no-finish", "no-done", "error-event", "hang-middle", "rubbish-middle")

# One client of each family meets all faults of every provider. The others meet all of OpenAI's, and these of the rest:
# what they read is written by the same code.
THOROUGH = ("openai-python-3", "anthropic-node")
EVERYWHERE = ("ok", "tools-parallel", "refusal", "length", "cut", "error-event", "503", "slow")


def jobs_of(scenarios, providers):
    """The clients on each of their surfaces, of every provider; and some requests with the client's own retries."""
    for client in CLIENTS.values():
        for surface in client.surfaces:
            for provider in providers:
                for scenario in scenarios:
                    if surface.endswith("-helper") and scenario not in HELPED:
                        continue
                    if provider != "openai" and client.name not in THOROUGH and scenario not in EVERYWHERE:
                        continue
                    timeout = LONG_WAIT_S if scenario == "429-60s" else None
                    yield Job(client.name, surface, provider, scenario, timeout=timeout)
                    if scenario in RETRIED and provider == "openai" and not surface.endswith("-helper"):
                        yield Job(client.name, surface, provider, scenario, retries=None)


def run(gateway, jobs):
    """Runs the jobs, all clients at once; returns what came of each, by its key."""
    with concurrent.futures.ThreadPoolExecutor(len(CLIENTS)) as pool:
        by_client = {name: [job.line() for job in jobs if job.client == name] for name in CLIENTS}
        running = [pool.submit(drive, gateway, CLIENTS[name], lines) for name, lines in by_client.items() if lines]
        return {outcome["id"]: outcome for done in running for outcome in done.result()}


def drive(gateway, client, lines):
    """Has one client do its jobs."""
    environment = {**os.environ, "NODE_PATH": str(TOOLS / "node/node_modules")}
    told = json.dumps({"url": gateway.url, "key": gateway.key, "jobs": lines})
    done = subprocess.run(
        client.command,
        input=told,
        capture_output=True,
        text=True,
        env=environment,
        timeout=DRIVER_TIMEOUT_S,
        check=False,
    )
    # By line feeds only: what was said may hold other ends of lines.
    outcomes = [json.loads(line) for line in done.stdout.split("\n") if line]
    if done.returncode != 0 or len(outcomes) != len(lines):
        raise RuntimeError(f"{client.name} did {len(outcomes)} of {len(lines)} jobs:\n{done.stderr[-3000:]}")
    return outcomes
