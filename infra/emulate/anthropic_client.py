"""The official Anthropic client against the local runner: only the base URL and the key are changed.

    python infra/emulate/anthropic_client.py

What it must find is in client_checks/messages.py.
"""

import anthropic

from client_checks import MODEL, messages
from http_client import expect
from local import local
from processes import say


def main():
    with local("anthropic-client") as running:
        client = anthropic.Anthropic(base_url=running.url, api_key=running.key, max_retries=0, timeout=30)
        ids = [model.id for model in client.models.list(limit=1)]
        expect("local/echo is listed", MODEL in ids, True)
        expect("a model by its name", client.models.retrieve(MODEL).id, MODEL)
        say(f"{len(ids)} models")
        text = messages.check_created(client)
        messages.check_streamed(client, text)
        messages.check_thought(client)
        messages.check_tools(client)
        messages.check_parsed(client)
        messages.check_counted(client)
        messages.check_errors(client)
        messages.check_left(client)


if __name__ == "__main__":
    main()
