"""The local runner, `turnwise serve`, on a free loopback port with a data folder of its own."""

import contextlib
import dataclasses
import shutil
import sys

from processes import ROOT, WORK, free_port, server

DEV_KEY = "tw_live_sample_0123456789abcdefghijklmnopqrstuv"


@dataclasses.dataclass
class Local:
    """A running local runner."""

    url: str
    key: str


@contextlib.contextmanager
def local(name):
    """Runs target/release/turnwise until the block ends; `name` tells its log and its data folder from others."""
    binary = ROOT / "target/release/turnwise"
    if not binary.exists():
        sys.exit("error: target/release/turnwise is not built: cargo build --release")
    data = WORK / f"{name}-data"
    shutil.rmtree(data, ignore_errors=True)
    port = free_port()
    env = {"TURNWISE_PORT": str(port), "TURNWISE_DATA_DIR": str(data), "TURNWISE_DEV_KEY": DEV_KEY}
    url = f"http://127.0.0.1:{port}"
    with server(name, [binary, "serve"], f"{url}/healthz", env):
        yield Local(url, DEV_KEY)
