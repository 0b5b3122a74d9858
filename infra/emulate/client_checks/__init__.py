"""What the official clients must find, one module a subject: OpenAI's, and in messages.py Anthropic's."""

MODEL = "local/echo"
MESSAGES = [{"role": "user", "content": "the quick brown fox"}]
