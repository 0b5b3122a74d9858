"""The page of the local runner in a headless browser: page.mjs does what a person would.

    python infra/emulate/page.py
"""

import os
import subprocess
import sys

from local import local
from processes import ROOT, WORK

MODULES = ROOT / "target/tools/node/node_modules"
TIMEOUT_S = 300


def main():
    script = ROOT / "infra/emulate/page.mjs"
    with local("page") as running:
        command = ["node", str(script), running.url, str(WORK)]
        environment = {**os.environ, "NODE_PATH": str(MODULES)}
        done = subprocess.run(command, cwd=ROOT, env=environment, timeout=TIMEOUT_S)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
