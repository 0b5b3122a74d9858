// Does what it is told with an official client for Node.js, and tells what came of it.
//
//   NODE_PATH=<folder of packages> node infra/emulate/fault_checks/driver.mjs openai|@anthropic-ai/sdk < jobs.json
//
// Reads {"url", "key", "jobs"} and prints a line of JSON for each job, as it ends: the same that driver.py prints.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const WORKERS = 16;
const KEPT_CHARS = 20_000; // of what a client was given: enough to look for keys in it
const QUESTION = "Say something in many alphabets.";

const [which] = process.argv.slice(2);
// `import` does not look at NODE_PATH, `require` does.
const sdk = createRequire(import.meta.url)(which);
const { url, key, jobs } = JSON.parse(readFileSync(0, "utf8"));

function clientOf(job) {
  const options = { apiKey: key, timeout: (job.timeout ?? 30) * 1000 };
  if (job.retries !== null) options.maxRetries = job.retries;
  return which === "openai" ? new sdk.OpenAI({ baseURL: `${url}/v1`, ...options }) : new sdk.Anthropic({ baseURL: url, ...options });
}

/** Does one job; `out` grows while it runs, so that a failure leaves what came before it. */
async function run(job) {
  const out = { id: job.id, text: "", refusal: "", calls: [], finish: null, usage: null, error: null, events: 0, raw: "", headers: {} };
  const began = performance.now();
  try {
    await surfaces[job.surface](clientOf(job), job.model, bodyOf(job), out);
  } catch (error) {
    out.error = described(error);
  }
  out.seconds = (performance.now() - began) / 1000;
  out.calls = out.calls.filter(Boolean);
  return out;
}

/** `extra_body` and `extra_headers` are how the Python clients are told more; here the body takes any field. */
function bodyOf(job) {
  const { extra_body, extra_headers, ...body } = job.body ?? {};
  return { ...body, ...extra_body };
}

/** What a program could find out about an error. A class of the SDK is named, any other has `js.` before it. */
function described(error) {
  const named = error?.constructor?.name;
  const inner = error?.error?.error ?? error?.error ?? {};
  return {
    class: sdk[named] === error.constructor ? named : `js.${named}`,
    status: error.status ?? null,
    code: inner.code ?? null,
    type: inner.type ?? null,
    category: inner.category ?? null,
    retryable: inner.retryable ?? null,
    param: inner.param ?? null,
    message: String(error.message).slice(0, 2000),
    body: JSON.stringify(error.error ?? null).slice(0, 4000),
    request_id: error.requestID ?? null,
    headers: Object.fromEntries(error.headers ?? []),
  };
}

async function keep(out, promise) {
  const { data, response } = await promise.withResponse();
  out.headers = Object.fromEntries(response.headers);
  return data;
}

function note(out, event) {
  out.events += 1;
  if (out.raw.length < KEPT_CHARS) out.raw = (out.raw + JSON.stringify(event)).slice(0, KEPT_CHARS);
}

function callAt(out, index) {
  out.calls[index] ??= { id: null, name: null, arguments: "" };
  return out.calls[index];
}

const asked = (model, body) => ({ model, messages: [{ role: "user", content: QUESTION }], ...body });

// OpenAI's chat completions.

function takeOpenaiUsage(usage, out) {
  if (usage) out.usage = [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, usage.prompt_tokens_details?.cached_tokens ?? 0];
}

function takeCompletion({ choices: [{ message, finish_reason }], usage }, out) {
  out.text = message.content ?? "";
  out.refusal = message.refusal ?? "";
  out.calls = (message.tool_calls ?? []).map(({ id, function: { name, arguments: text } }) => ({ id, name, arguments: text }));
  out.finish = finish_reason;
  takeOpenaiUsage(usage, out);
}

async function chat(client, model, body, out) {
  const completion = await keep(out, client.chat.completions.create(asked(model, body)));
  note(out, completion);
  takeCompletion(completion, out);
}

async function chatStream(client, model, body, out) {
  const request = { stream_options: { include_usage: true }, ...asked(model, body), stream: true };
  for await (const chunk of await keep(out, client.chat.completions.create(request))) {
    note(out, chunk);
    takeOpenaiUsage(chunk.usage, out);
    for (const { delta, finish_reason } of chunk.choices) {
      out.text += delta.content ?? "";
      out.refusal += delta.refusal ?? "";
      out.finish = finish_reason ?? out.finish;
      for (const piece of delta.tool_calls ?? []) {
        const call = callAt(out, piece.index);
        call.id = piece.id ?? call.id;
        call.name = piece.function?.name ?? call.name;
        call.arguments += piece.function?.arguments ?? "";
      }
    }
  }
}

async function chatHelper(client, model, body, out) {
  const stream = client.chat.completions.stream({ ...asked(model, body), stream_options: { include_usage: true } });
  stream.on("content", (piece) => {
    out.events += 1;
    out.text += piece;
  });
  const final = await stream.finalChatCompletion();
  out.whole = final.choices[0].message.content ?? "";
  takeCompletion(final, out);
}

// OpenAI's responses.

function takeResponse(response, out) {
  const parts = response.output.flatMap((item) => (item.type === "message" ? item.content : []));
  out.text = parts.map((part) => part.text ?? "").join("");
  out.refusal = parts.map((part) => part.refusal ?? "").join("");
  out.calls = response.output.filter(({ type }) => type === "function_call").map(({ call_id, name, arguments: text }) => ({ id: call_id, name, arguments: text }));
  out.finish = response.incomplete_details?.reason ?? response.status;
  const usage = response.usage;
  if (usage) out.usage = [usage.input_tokens, usage.output_tokens, usage.total_tokens, usage.input_tokens_details.cached_tokens];
  if (response.status === "failed") {
    out.finish = null;
    out.error = { class: "response.failed", status: null, category: null, retryable: null, type: null, request_id: null, headers: {}, ...response.error };
  }
}

async function responses(client, model, body, out) {
  const response = await keep(out, client.responses.create({ model, input: QUESTION, ...body }));
  note(out, response);
  takeResponse(response, out);
}

async function responsesStream(client, model, body, out) {
  for await (const event of await keep(out, client.responses.create({ model, input: QUESTION, ...body, stream: true }))) {
    note(out, event);
    if (event.type === "response.output_text.delta") out.text += event.delta;
    if (["response.completed", "response.incomplete", "response.failed"].includes(event.type)) {
      const pieces = out.text;
      takeResponse(event.response, out);
      out.whole = out.text;
      out.text = pieces;
    }
  }
}

// Anthropic's messages.

/** Anthropic's input leaves out what the cache held. */
function takeAnthropicUsage(usage, out) {
  const known = out.usage ?? [0, 0, 0, 0];
  const cached = usage.cache_read_input_tokens ?? 0;
  const spent = (usage.input_tokens ?? 0) + cached + (usage.cache_creation_input_tokens ?? 0) || known[0];
  out.usage = [spent, usage.output_tokens, spent + usage.output_tokens, cached || known[3]];
}

function takeMessage(message, out) {
  out.text = message.content.map((block) => (block.type === "text" ? block.text : "")).join("");
  out.calls = message.content.filter(({ type }) => type === "tool_use").map(({ id, name, input }) => ({ id, name, arguments: JSON.stringify(input) }));
  out.finish = message.stop_reason;
  takeAnthropicUsage(message.usage, out);
}

async function messages(client, model, body, out) {
  const message = await keep(out, client.messages.create({ max_tokens: 1024, ...asked(model, body) }));
  note(out, message);
  takeMessage(message, out);
}

async function messagesStream(client, model, body, out) {
  let reason = null;
  for await (const event of await keep(out, client.messages.create({ max_tokens: 1024, ...asked(model, body), stream: true }))) {
    note(out, event);
    const { type, index, delta } = event;
    if (type === "message_start") {
      out.start_input = event.message.usage.input_tokens;
      takeAnthropicUsage(event.message.usage, out);
    }
    if (type === "content_block_start" && event.content_block.type === "tool_use") {
      Object.assign(callAt(out, index), { id: event.content_block.id, name: event.content_block.name });
    }
    if (type === "content_block_delta" && delta.type === "text_delta") out.text += delta.text;
    if (type === "content_block_delta" && delta.type === "input_json_delta") callAt(out, index).arguments += delta.partial_json;
    if (type === "message_delta") {
      takeAnthropicUsage(event.usage, out);
      reason = delta.stop_reason;
    }
    // A message is whole only with its message_stop.
    if (type === "message_stop") out.finish = reason;
  }
}

async function messagesHelper(client, model, body, out) {
  const stream = client.messages.stream({ max_tokens: 1024, ...asked(model, body) });
  stream.on("text", (piece) => {
    out.events += 1;
    out.text += piece;
  });
  const final = await stream.finalMessage();
  out.whole = final.content.map((block) => (block.type === "text" ? block.text : "")).join("");
  takeMessage(final, out);
}

const surfaces = {
  chat,
  "chat-stream": chatStream,
  "chat-helper": chatHelper,
  responses,
  "responses-stream": responsesStream,
  messages,
  "messages-stream": messagesStream,
  "messages-helper": messagesHelper,
};

async function work() {
  for (let job = jobs.shift(); job; job = jobs.shift()) console.log(JSON.stringify(await run(job)));
}

await Promise.all(Array.from({ length: WORKERS }, work));
