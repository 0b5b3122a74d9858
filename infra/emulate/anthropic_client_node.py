"""The official Anthropic client for Node.js against the local runner: anthropic_client.mjs does what a program would.

    python infra/emulate/anthropic_client_node.py
"""

from local import local
from node import run_node

TIMEOUT_S = 60


def main():
    with local("anthropic-client-node") as running:
        run_node("anthropic_client.mjs", [running.url], {"TURNWISE_KEY": running.key}, TIMEOUT_S)


if __name__ == "__main__":
    main()
