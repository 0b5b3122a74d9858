"""The official OpenAI client against the local runner: only the base URL and the key are changed.

    python infra/emulate/openai_client.py

What it must find is in client_checks.
"""

import openai

from client_checks import MODEL, chat, embeddings, errors, responses, streams
from http_client import expect
from local import local
from processes import say


def main():
    with local("openai-client") as running:
        client = openai.OpenAI(base_url=f"{running.url}/v1", api_key=running.key, max_retries=0, timeout=30)
        ids = [model.id for model in client.models.list()]
        expect("local/echo is listed", MODEL in ids, True)
        say(f"{len(ids)} models")
        text = chat.check_buffered(client)
        chat.check_streamed(client, text)
        responses.check_responses(client)
        responses.check_background(client)
        responses.check_conversation(client)
        responses.check_short(client)
        streams.check_followed(client)
        streams.check_left(client)
        streams.check_cancelled(client)
        streams.check_tool_call(client)
        streams.check_parsed(client)
        embeddings.check_embeddings(client)
        errors.check_errors(client)
        streams.check_cut_at_random(running)
        streams.check_killed(client, running)


if __name__ == "__main__":
    main()
