"""Runs the scripts that need Node.js, with the pinned packages of `cargo xtask tools`."""

import os
import subprocess
import sys

from processes import ROOT

MODULES = ROOT / "target/tools/node/node_modules"


def run_node(script, arguments, env, timeout_s):
    """Runs a script of this folder; ends ours with its status if it fails."""
    command = ["node", ROOT / "infra/emulate" / script, *arguments]
    environment = {**os.environ, "NODE_PATH": str(MODULES), **env}
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env=environment, timeout=timeout_s)
    if done.returncode != 0:
        sys.exit(done.returncode)
