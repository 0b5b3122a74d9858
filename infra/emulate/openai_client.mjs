// The official OpenAI client for Node.js against a server that is already running: only the base URL and the key are
// changed.
//
//   NODE_PATH=<folder with openai> TURNWISE_KEY=<key> node infra/emulate/openai_client.mjs http://127.0.0.1:8787
//
// Prints a line for each check; the first one that fails ends the run.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

// `import` does not look at NODE_PATH, `require` does.
const { OpenAI, APIConnectionError, APIError, AuthenticationError, BadRequestError, NotFoundError, UnprocessableEntityError } = createRequire(import.meta.url)("openai");

const [url] = process.argv.slice(2);
const apiKey = process.env.TURNWISE_KEY;
if (!url || !apiKey) {
  console.error("usage: TURNWISE_KEY=KEY node openai_client.mjs URL");
  process.exit(2);
}

const model = "local/echo";
const text = "the quick brown fox jumps over the lazy dog";
const echo = `Echo: ${text}`;
const key = `node-${Date.now()}`;
const messages = [{ role: "user", content: text }];
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0, timeout: 30_000 });

const say = (what) => console.log(`   ${what}`);

/** The events of a stream: all, or the first `count`; then its connection is cut. */
async function take(stream, count = Infinity) {
  const events = [];
  for await (const event of stream) {
    events.push(event);
    // Leaving the loop aborts the request.
    if (events.length === count) break;
  }
  return events;
}

const textOf = (events) => events.filter(({ type }) => type === "response.output_text.delta").map(({ delta }) => delta).join("");

/** What every whole stream must be: no number missing or twice, and pieces that make the text. */
function isWhole(events) {
  assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, at) => at));
  assert.equal(events[0].type, "response.created");
  assert.equal(events.at(-1).type, "response.completed");
  assert.equal(textOf(events), echo);
}

async function a_chat_is_streamed() {
  const options = { headers: { "Idempotency-Key": key } };
  const body = { model, messages, stream: true, stream_options: { include_usage: true } };
  for (const how of ["streamed", "streamed again"]) {
    const { data, response } = await client.chat.completions.create(body, options).withResponse();
    const chunks = await take(data);
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), echo, how);
    assert.ok(chunks.at(-1).usage.total_tokens > 0, how);
    assert.equal(response.headers.get("idempotent-replayed") === "true", how === "streamed again");
    say(`chat, ${how}: ${chunks.length} chunks`);
  }
  const runner = client.chat.completions.stream({ model, messages });
  assert.equal(await runner.finalContent(), echo);
}

async function a_response_is_streamed() {
  const stream = client.responses.stream({ model, input: text });
  const events = await take(stream);
  isWhole(events);
  const final = await stream.finalResponse();
  assert.equal(final.output_text, echo);
  assert.equal(final.status, "completed");
  const stored = await client.responses.retrieve(final.id);
  assert.deepEqual([stored.status, stored.output, stored.usage], [final.status, events.at(-1).response.output, final.usage]);
  say(`a response: ${events.length} events, ${JSON.stringify(final.output_text)}`);
}

async function a_stream_is_left_and_gone_on_with() {
  const stream = await client.responses.create({ model, input: text, background: true, stream: true, echo_delay_ms: 50 });
  const first = await take(stream, 6);
  const { id } = first[0].response;
  const rest = await take(await client.responses.retrieve(id, { stream: true, starting_after: 5 }));
  isWhole([...first, ...rest]);
  assert.deepEqual(await take(await client.responses.retrieve(id, { stream: true })), [...first, ...rest]);
  assert.deepEqual(await take(await client.responses.retrieve(id, { stream: true, starting_after: rest.at(-1).sequence_number })), []);

  const helper = client.responses.stream({ response_id: id, starting_after: 5 });
  const behind = await take(helper);
  assert.deepEqual(behind.map((event) => event.sequence_number), rest.map((event) => event.sequence_number));
  assert.equal((await helper.finalResponse()).output_text, echo);
  say(`left after 6 events: ${rest.length} more behind them`);
}

async function embeddings_come_in_both_encodings() {
  const body = { model: "local/hash-embedding", input: [text, "hello"], dimensions: 16 };
  // Left to itself the client asks for base64 and decodes it.
  const [usual, floats] = await Promise.all([client.embeddings.create(body), client.embeddings.create({ ...body, encoding_format: "float" })]);
  assert.deepEqual(usual.data.map(({ embedding }) => embedding.length), [16, 16]);
  const numbers = ({ data }) => data.map(({ embedding }) => Array.from(embedding, Math.fround));
  assert.deepEqual(numbers(usual), numbers(floats));
  say(`embeddings: ${usual.data.length} vectors, as base64 and as floats`);
}

async function errors_are_the_clients_own() {
  const other = { headers: { "Idempotency-Key": key } };
  const cases = [
    ["an unknown model", NotFoundError, "model_not_found", () => client.responses.create({ model: "no/such-model", input: text })],
    ["no input", BadRequestError, undefined, () => client.responses.create({ model })],
    ["no such response", NotFoundError, "response_not_found", () => client.responses.retrieve("resp_none")],
    ["a stream of no such response", NotFoundError, "response_not_found", () => client.responses.retrieve("resp_none", { stream: true })],
    ["a key with another body", UnprocessableEntityError, "idempotency_key_reused", () => client.chat.completions.create({ model, messages: [{ role: "user", content: "other" }] }, other)],
    ["a wrong key", AuthenticationError, undefined, () => client.withOptions({ apiKey: "wrong" }).models.list()],
  ];
  for (const [what, expected, code, ask] of cases) {
    await assert.rejects(ask, (error) => {
      assert.ok(error instanceof expected, `${what}: ${error}`);
      assert.ok(error.requestID, `${what}: the request id`);
      if (code) assert.equal(error.code, code, what);
      return true;
    });
  }
  const broken = [
    client.responses.create({ model, input: text, stream: true, echo_fail_after: 3 }),
    client.chat.completions.create({ model, messages, stream: true, echo_fail_after: 3 }),
  ];
  for (const stream of broken) {
    await assert.rejects(async () => take(await stream), (error) => {
      assert.ok(error instanceof APIError, String(error));
      assert.equal(error.code, "upstream_error");
      return true;
    });
  }
  await assert.rejects(() => client.withOptions({ baseURL: "http://127.0.0.1:9/v1" }).models.list(), APIConnectionError);
  say(`${cases.length + broken.length + 1} errors arrive as the client's own`);
}

await a_chat_is_streamed();
await a_response_is_streamed();
await a_stream_is_left_and_gone_on_with();
await embeddings_come_in_both_encodings();
await errors_are_the_clients_own();
