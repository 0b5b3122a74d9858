"""The local runner, `turnwise serve`, on a free loopback port with a data folder of its own."""

import contextlib
import shutil
import sys

from processes import ROOT, WORK, answers, end, free_port, kill, log_shown, start, wait_until

BINARY = ROOT / "target/release/turnwise"
DEV_KEY = "tw_live_sample_0123456789abcdefghijklmnopqrstuv"
START_TIMEOUT_S = 60


class Local:
    """A local runner: its address and key stay the same when it is killed and started again on the same folder."""

    def __init__(self, name, binary):
        self.name = name
        self.binary = binary
        self.key = DEV_KEY
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = WORK / f"{name}-data"
        shutil.rmtree(self.data, ignore_errors=True)
        self.process = None

    def start(self):
        """Starts it, and waits until it answers."""
        env = {"TURNWISE_PORT": str(self.port), "TURNWISE_DATA_DIR": str(self.data), "TURNWISE_DEV_KEY": self.key}
        self.process = start(self.name, [self.binary, "serve"], env, "a" if self.process else "w")
        healthy = f"{self.url}/healthz"
        wait_until(f"{self.name} answers", lambda: answers(healthy), START_TIMEOUT_S, self.process)

    def kill(self):
        """Kills it, in the middle of whatever it does."""
        kill(self.process)


@contextlib.contextmanager
def local(name, binary=BINARY):
    """Runs `binary` until the block ends; `name` tells its log and its data folder from others."""
    if not binary.exists():
        sys.exit(f"error: {binary} is not built: cargo build --release")
    running = Local(name, binary)
    with log_shown(name):
        try:
            running.start()
            yield running
        finally:
            if running.process:
                end(running.process)
