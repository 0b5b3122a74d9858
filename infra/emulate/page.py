"""The page of the local runner in a headless browser: page.mjs does what a person would.

    python infra/emulate/page.py
"""

import subprocess
import sys

from local import local
from processes import ROOT, WORK

BROWSER = "/usr/bin/chromium"
TIMEOUT_S = 120


def main():
    script = ROOT / "infra/emulate/page.mjs"
    with local("page") as running:
        command = ["node", script, running.url, running.key, BROWSER, WORK / "page.png"]
        done = subprocess.run([str(part) for part in command], cwd=ROOT, timeout=TIMEOUT_S)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
