"""The page of the local runner in a headless browser: page.mjs does what a person would.

    python infra/emulate/page.py
"""

from local import BINARY, local
from node import run_node
from processes import WORK

TIMEOUT_S = 300


def main():
    with local("page") as running:
        run_node("page.mjs", [running.url, WORK], {"TURNWISE": str(BINARY)}, TIMEOUT_S)


if __name__ == "__main__":
    main()
