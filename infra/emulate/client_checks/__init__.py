"""What the official OpenAI client must find, one module a subject."""

MODEL = "local/echo"
MESSAGES = [{"role": "user", "content": "the quick brown fox"}]
