// The official Anthropic client for Node.js against a server that is already running: only the base URL and the key are
// changed.
//
//   NODE_PATH=<folder with @anthropic-ai/sdk> TURNWISE_KEY=<key> node infra/emulate/anthropic_client.mjs http://127.0.0.1:8787
//
// Prints a line for each check; the first one that fails ends the run.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

// `import` does not look at NODE_PATH, `require` does.
const { Anthropic, APIConnectionError, APIError, AuthenticationError, BadRequestError, NotFoundError, UnprocessableEntityError } = createRequire(import.meta.url)("@anthropic-ai/sdk");

const [url] = process.argv.slice(2);
const apiKey = process.env.TURNWISE_KEY;
if (!url || !apiKey) {
  console.error("usage: TURNWISE_KEY=KEY node anthropic_client.mjs URL");
  process.exit(2);
}

const model = "local/echo";
const text = "the quick brown fox jumps over the lazy dog";
const echo = `Echo: ${text}`;
const headers = { "Idempotency-Key": `node-${Date.now()}` };
const asked = { model, max_tokens: 1024, messages: [{ role: "user", content: text }] };
const client = new Anthropic({ baseURL: url, apiKey, maxRetries: 0, timeout: 30_000 });

const say = (what) => console.log(`   ${what}`);

/** All events of a stream. */
async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

async function a_message_is_made_and_streamed() {
  const message = await client.messages.create(asked, { headers });
  assert.deepEqual([message.type, message.role, message.stop_reason, message.content[0].text], ["message", "assistant", "end_turn", echo]);
  assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
  const { response } = await client.messages.create(asked, { headers }).withResponse();
  assert.equal(response.headers.get("idempotent-replayed"), "true");

  const stream = client.messages.stream(asked, { headers });
  const pieces = [];
  stream.on("text", (piece) => pieces.push(piece));
  const final = await stream.finalMessage();
  assert.equal(pieces.join(""), echo);
  // Of the tokens, the helper keeps those that it knows in a stream.
  const summary = ({ id, stop_reason, content, usage }) => [id, stop_reason, content[0].text, usage.input_tokens, usage.output_tokens];
  assert.deepEqual(summary(final), summary(message));

  const events = await all(await client.messages.create({ ...asked, stream: true }));
  assert.deepEqual([events[0].type, events.at(-1).type], ["message_start", "message_stop"]);
  say(`a message: ${events.length} events, ${JSON.stringify(final.content[0].text)}`);
}

async function a_tool_is_called_and_answered() {
  const input_schema = { type: "object", properties: { place: { type: "string" } }, required: ["place"] };
  const tools = [{ name: "get_weather", description: "The weather at a place.", input_schema }];
  const stream = client.messages.stream({ ...asked, tools, output_config: { effort: "low" } });
  const pieces = [];
  stream.on("inputJson", (piece) => pieces.push(piece));
  const called = await stream.finalMessage();
  assert.deepEqual([called.stop_reason, ...called.content.map(({ type }) => type)], ["tool_use", "thinking", "tool_use"]);
  const call = called.content.at(-1);
  assert.deepEqual([call.name, Object.keys(call.input)], ["get_weather", ["place"]]);
  assert.deepEqual(JSON.parse(pieces.join("")), call.input);

  const result = { type: "tool_result", tool_use_id: call.id, content: [{ type: "text", text: "sunny" }] };
  const messages = [...asked.messages, { role: "assistant", content: called.content }, { role: "user", content: [result] }];
  const answer = await client.messages.create({ ...asked, tools, messages });
  assert.equal(answer.content[0].text, "Echo: sunny");
  say(`a tool called in ${pieces.length} pieces, and its result answered`);
}

async function tokens_are_counted_and_models_listed() {
  const { input_tokens } = await client.messages.countTokens({ model, messages: asked.messages });
  assert.ok(input_tokens > 0);
  const models = await all(client.models.list({ limit: 1 }));
  assert.ok(models.some(({ id }) => id === model));
  assert.equal((await client.models.retrieve(model)).id, model);
  say(`${input_tokens} tokens counted, ${models.length} models listed`);
}

async function errors_are_the_clients_own() {
  const cases = [
    ["an unknown model", NotFoundError, "not_found_error", () => client.messages.create({ ...asked, model: "no/such-model" })],
    ["no messages", BadRequestError, "invalid_request_error", () => client.messages.create({ ...asked, messages: [] })],
    ["a tool of the server", BadRequestError, "invalid_request_error", () => client.messages.create({ ...asked, tools: [{ type: "web_search_20250305", name: "web_search" }] })],
    ["a key with another body", UnprocessableEntityError, "invalid_request_error", () => client.messages.create({ ...asked, max_tokens: 7 }, { headers })],
    ["a wrong key", AuthenticationError, "authentication_error", () => client.withOptions({ apiKey: "wrong" }).messages.create(asked)],
  ];
  for (const [what, expected, type, ask] of cases) {
    await assert.rejects(ask, (error) => {
      assert.ok(error instanceof expected, `${what}: ${error}`);
      assert.equal(error.error.error.type, type, what);
      assert.equal(error.requestID, error.error.request_id, `${what}: the request id`);
      return true;
    });
  }
  const broken = async () => all(await client.messages.create({ ...asked, stream: true, echo_fail_after: 3 }));
  await assert.rejects(broken, (error) => {
    assert.ok(error instanceof APIError, String(error));
    assert.match(String(error), /upstream_error/);
    return true;
  });
  await assert.rejects(() => client.withOptions({ baseURL: "http://127.0.0.1:9" }).messages.create(asked), APIConnectionError);
  say(`${cases.length + 2} errors arrive as the client's own`);
}

await a_message_is_made_and_streamed();
await a_tool_is_called_and_answered();
await tokens_are_counted_and_models_listed();
await errors_are_the_clients_own();
