// The page at `/` in headless Chromium, against a server that is already running.
//
//   NODE_PATH=<folder with playwright-core> node infra/emulate/page.mjs http://127.0.0.1:8787/ [folder for screenshots]
//
// CHROMIUM names another browser than /usr/bin/chromium. Prints a line for each
// check and "N passed, M failed"; the exit status is 1 if one failed.

import { createRequire } from "node:module";
import { join } from "node:path";

// `import` does not look at NODE_PATH, `require` does.
const { chromium } = createRequire(import.meta.url)("playwright-core");

const [url, folder] = process.argv.slice(2);
if (!url) {
  console.error("usage: node page.mjs URL [FOLDER]");
  process.exit(2);
}
const origin = new URL(url).origin;

const SLOW = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu";
const PACE_MS = 400;          // A pause before each word: thirteen words take about five seconds.
const PATIENCE_MS = 20_000;   // Longest wait for anything; a loaded machine is slow, not wrong.
const WIDE = { width: 1180, height: 860 };
const NARROW = { width: 360, height: 740 };

let passed = 0;
let failed = 0;

function check(what, isTrue, seen) {
  if (isTrue) passed += 1; else failed += 1;
  console.log(`${isTrue ? "ok    " : "FAILED"} ${what}${isTrue || seen === undefined ? "" : `: ${JSON.stringify(seen)}`}`);
}

const equal = (what, seen, expected) => check(what, JSON.stringify(seen) === JSON.stringify(expected), { seen, expected });

/** A page in a browser profile of its own, with a record of what it did. */
async function visit(browser, options = {}) {
  const context = await browser.newContext({ viewport: WIDE, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const record = { errors: [], requests: [], bodies: [] };
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) record.errors.push(message.text()); });
  page.on("pageerror", (error) => record.errors.push(error.message));
  page.on("request", (request) => {
    record.requests.push(request.url());
    if (request.method() === "POST") record.bodies.push(request.postData());
  });
  await page.goto(url);
  await page.waitForLoadState("networkidle");
  return { page, record };
}

const shot = (page, name) => (folder ? page.screenshot({ path: join(folder, `page-${name}.png`) }) : undefined);

/** One card: its parts as a reader finds them. */
function card(page, at) {
  const root = at === "last" ? page.locator(".turn").last() : page.locator(".turn").nth(at);
  const part = (name) => root.locator(`[data-part=${name}]`);
  return {
    root, part,
    answer: () => part("answer").textContent(),
    number: () => part("node").textContent(),
    chips: () => root.locator(".chip").allTextContents(),
    counts: () => part("counts").textContent(),
    requests: () => root.locator(".requests li").allTextContents(),
    hash: () => part("facts").locator("[title]").getAttribute("title"),
    key: () => root.getAttribute("data-key"),
    async becomes(state) {
      const handle = await root.elementHandle();
      await page.waitForFunction(([node, wanted]) => node.dataset.state === wanted, [handle, state]);
    },
    async hasText(length) {
      const handle = await part("answer").elementHandle();
      await page.waitForFunction(([node, least]) => node.textContent.length >= least, [handle, length]);
    },
    plug: () => part("plug").click(),
    retry: () => part("retry").click(),
  };
}

async function pace(page, milliseconds) {
  await page.locator("#pace").fill(String(milliseconds));
}

async function write(page, message) {
  await page.locator("#message").fill(message);
  await page.locator("#message").press("Enter");
  return card(page, "last");
}

/** Reads the API beside the page, with the page's key. */
const api = (page, path) => page.evaluate(async (path) => {
  const response = await fetch(path, { headers: { authorization: `Bearer ${KEY}` } });
  return response.json();
}, path);

const turnsOf = (page, key) => api(page, `/v1/threads/${encodeURIComponent(key.split(":")[0])}/turns`);

async function an_empty_page_teaches({ page }) {
  check("the empty page says what it proves", await page.locator("#intro").isVisible());
  await page.locator("summary").click();
  const curl = await page.locator("#curl").textContent();
  equal("it shows a turn and its retry with curl, the same line twice", curl.split("curl -i ").length, 3);
  check("the curl line has this server's address", curl.includes(`${origin}/v1/chat`));
  equal("the models are listed", (await page.locator("#model option").allTextContents()).includes("local/echo"), true);
  await shot(page, "empty");
}

async function a_stream_reads_the_same_however_it_is_cut({ page }) {
  const seen = await page.evaluate(async () => {
    const lines = [": ping", "event: delta", "data: {\"text\":", "data:\"gr\u00fc\u00df \ud83d\udc4b\"}", "", "id: 7", "data", "", "event: unfinished", "data: dropped"];
    const readAll = async (bytes, size) => {
      const body = new ReadableStream({
        start(stream) {
          for (let at = 0; at < bytes.length; at += size) stream.enqueue(bytes.slice(at, at + size));
          stream.close();
        },
      });
      const all = [];
      for await (const event of events(body)) all.push(event);
      return JSON.stringify(all);
    };
    const results = new Set();
    for (const end of ["\n", "\r\n", "\r"]) {
      const bytes = new TextEncoder().encode(lines.join(end));
      for (let size = 1; size <= bytes.length; size += 1) results.add(await readAll(bytes, size));
    }
    return [...results];
  });
  const expected = [{ name: "delta", data: "{\"text\":\n\"gr\u00fc\u00df \ud83d\udc4b\"}" }, { name: "message", data: "" }];
  equal("events read the same with LF, CRLF and CR, cut at every byte", seen, [JSON.stringify(expected)]);
}

async function an_unplugged_turn_is_attached_to_and_replayed({ page, record }) {
  await pace(page, PACE_MS);
  const turn = await write(page, SLOW);
  await turn.becomes("streaming");

  const lengths = [];
  for (const least of [8, 16, 24]) {
    await turn.hasText(least);
    lengths.push((await turn.answer()).length);
  }
  check("the text grows while it streams", lengths[0] < lengths[1] && lengths[1] < lengths[2] && lengths[2] < SLOW.length, lengths);
  equal("its chip", await turn.chips(), ["streaming"]);
  await shot(page, "streaming");

  await turn.part("plug").focus();
  await page.keyboard.press("Enter");
  await turn.becomes("cut");
  const partial = await turn.answer();
  check("the plug leaves a part of the answer", partial.length > 0 && partial.length < SLOW.length, partial);
  check("its chip says so", (await turn.chips()).includes("unplugged"), await turn.chips());
  check("its note says that the turn goes on", (await turn.part("note").textContent()).includes("goes on without us"));
  check("the keyboard's focus is on Retry", await turn.part("retry").evaluate((node) => node === document.activeElement));
  const key = await turn.key();
  equal("the server is still making the answer", (await api(page, `/v1/turns/${encodeURIComponent(key)}`)).status, "PROCESSING");
  equal("nothing is committed yet", (await turnsOf(page, key)).total, 0);
  await shot(page, "unplugged");

  await turn.part("answer").evaluate((node) => {
    window.shown = [];
    new MutationObserver(() => window.shown.push(node.textContent)).observe(node, { childList: true });
  });
  await turn.retry();
  await turn.becomes("streaming");
  check("a retry in mid-answer attaches", (await turn.chips()).includes("attached"), await turn.chips());
  await turn.becomes("committed");
  await page.waitForFunction(() => document.querySelector("[data-part=counts]").textContent.includes("committed"));
  equal("the whole answer, once", await turn.answer(), `Echo: ${SLOW}`);
  const shown = await page.evaluate(() => window.shown);
  check("no word was ever shown twice", shown.length > 2 && shown.every((text) => `Echo: ${SLOW}`.startsWith(text)), shown);
  equal("it is turn 1", await turn.number(), "1");
  equal("its chips", await turn.chips(), ["committed", "attached", "same turn, same answer"]);
  equal("what was sent and what was committed", await turn.counts(), "requests sent: 2 · turns committed: 1");
  const hash = await turn.hash();
  check("it shows the whole hash on hover", /^[0-9a-f]{64}$/.test(hash), hash);

  const listed = await turnsOf(page, key);
  equal("the conversation has one turn", [listed.total, listed.data.length, listed.data[0].message], [1, 1, `Echo: ${SLOW}`]);

  await turn.retry();
  await turn.becomes("committed");
  await page.waitForFunction(() => document.querySelectorAll(".requests li").length === 3);
  await page.waitForFunction(() => document.querySelector("[data-part=counts]").textContent.startsWith("requests sent: 3"));
  equal("a retry after the end is a replay", await turn.chips(), ["committed", "replayed", "same turn, same answer"]);
  check("it shows its proof", (await turn.requests())[2].includes("Idempotent-Replayed: true · turn 1"), await turn.requests());
  equal("number and hash stay", [await turn.number(), await turn.hash()], ["1", hash]);
  equal("still one turn", (await turnsOf(page, key)).total, 1);
  equal("three requests were sent, the same bytes", [record.bodies.length, new Set(record.bodies).size], [3, 1]);
  await shot(page, "retried");
}

async function a_second_message_is_turn_2({ page }) {
  await pace(page, 100);
  const turn = await write(page, "one two three four five six seven eight");
  await turn.becomes("streaming");
  await turn.hasText(8);
  await turn.plug();
  await turn.becomes("cut");
  await page.waitForFunction(() => [...document.querySelectorAll(".turn:last-child .chip")].some((chip) => chip.textContent === "committed"));
  check("the card sees the commit that was made without it", (await turn.part("note").textContent()).includes("is committed"));
  equal("with its number", await turn.number(), "2");
  await turn.retry();
  await turn.becomes("committed");
  equal("its retry is a replay", await turn.chips(), ["committed", "replayed", "same turn, same answer"]);
  equal("the whole answer, once", await turn.answer(), "Echo: one two three four five six seven eight");
  equal("the conversation has two turns", (await turnsOf(page, await turn.key())).total, 2);
  equal("it is listed once", await page.locator(".threads a[aria-current=page]").count(), 1);
}

async function a_reloaded_page_can_still_retry({ page }) {
  await pace(page, PACE_MS);
  const turn = await write(page, SLOW);
  await turn.hasText(12);
  const key = await turn.key();
  await page.reload();
  await page.waitForFunction(() => document.querySelectorAll(".turn").length === 3);
  const again = card(page, "last");
  equal("a reload keeps the turn's key", await again.key(), key);
  equal("and those that were committed", [await card(page, 0).number(), await card(page, 1).number()], ["1", "2"]);
  await again.retry();
  await again.becomes("committed");
  equal("its retry gets the whole answer", [await again.number(), await again.answer()], ["3", `Echo: ${SLOW}`]);
  equal("the conversation has three turns", (await turnsOf(page, key)).total, 3);
}

async function text_is_text({ page }) {
  await pace(page, 0);
  await page.locator("#message").fill("<img src=x onerror=alert(1)>");
  await page.locator("#message").press("Shift+Enter");
  await page.locator("#message").pressSequentially("<b>second line</b>");
  equal("Shift+Enter does not send", await page.locator(".turn").count(), 3);
  await page.locator("#message").press("Enter");
  const turn = card(page, 3);
  await turn.becomes("committed");
  equal("markup is shown, not made", await turn.answer(), "Echo: <img src=x onerror=alert(1)>\n<b>second line</b>");
  equal("no element came of it", await page.locator("main img, .answer b").count(), 0);
}

async function conversations_are_kept_apart({ page }) {
  await page.locator(".fresh").click();
  await page.waitForFunction(() => document.querySelectorAll(".turn").length === 0);
  check("a new conversation begins empty", await page.locator("#intro").isVisible());
  const turn = await write(page, "elsewhere");
  await turn.becomes("committed");
  equal("its first turn is turn 1", await turn.number(), "1");
  await page.locator(".threads a", { hasText: "alpha beta" }).first().click();
  await page.waitForFunction(() => document.querySelectorAll(".turn").length === 4);
  equal("the first one is as it was", await card(page, 0).answer(), `Echo: ${SLOW}`);
}

/** Replies of a server that misbehaves, to see that the page does not call them a success. */
async function what_is_wrong_is_shown({ page }) {
  const error = { message: "Another turn of this conversation is running.", code: "conversation_busy", request_id: "req_busy" };
  await page.route("**/v1/chat", (route) => route.fulfill({ status: 409, json: { error } }));
  const turn = await write(page, "again");
  await turn.becomes("failed");
  const note = await turn.part("note").textContent();
  check("an error shows its message, code and request", [error.message, "409", error.code, error.request_id].every((text) => note.includes(text)), note);
  check("a 409 offers Retry", await turn.part("retry").isVisible());
  await page.unroute("**/v1/chat");
  await turn.retry();
  await turn.becomes("committed");
  equal("the retry is turn 1", await turn.number(), "1");

  const answer = { object: "turn", turn_number: 2, status: "COMPLETED", message: "Echo: other", model: "local/echo", usage: { total_tokens: 1 }, cost_usd: 0, response_hash: "0".repeat(64) };
  await page.route("**/v1/chat", (route) => route.fulfill({
    headers: { "content-type": "text/event-stream", "idempotent-replayed": "true" },
    body: `event: done\ndata: ${JSON.stringify(answer)}\n\n`,
  }));
  await turn.retry();
  await turn.becomes("committed");
  check("another answer under the same key is called that", (await turn.chips()).includes("another answer"), await turn.chips());
  await page.unroute("**/v1/chat");

  await page.route("**/v1/chat", (route) => route.fulfill({ headers: { "content-type": "text/event-stream" }, body: "event: delta\ndata: {\"text\":\"half\"}\n\n" }));
  const silent = await write(page, "silent");
  await silent.becomes("cut");
  check("a stream that ends without its end is a lost connection", (await silent.chips()).includes("connection lost"), await silent.chips());
  await page.unroute("**/v1/chat");

  await page.route("**/v1/models", (route) => route.fulfill({ json: { data: [{ id: "local/echo" }, { id: "openai/some-model" }] } }));
  await page.reload();
  await page.locator("#model").selectOption("openai/some-model");
  check("only the echo can be slowed", await page.locator("#pace-field").isHidden());
}

async function it_fits_a_phone({ page }) {
  await pace(page, 50);
  const turn = await write(page, `${SLOW} ${"long".repeat(40)}`);
  await turn.hasText(8);
  await turn.plug();
  await turn.becomes("cut");
  await turn.retry();
  await turn.becomes("committed");
  const overflow = await page.evaluate(() => [document.documentElement, document.querySelector("main")].map((node) => node.scrollWidth - node.clientWidth));
  equal("nothing is wider than 360 px", overflow, [0, 0]);
  await shot(page, "narrow");
  await page.locator("#menu").click();
  check("the conversations are behind a button", await page.locator("#threads a").first().isVisible());
}

async function main() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  try {
    const day = await visit(browser, { colorScheme: "light" });
    await an_empty_page_teaches(day);
    await a_stream_reads_the_same_however_it_is_cut(day);
    await an_unplugged_turn_is_attached_to_and_replayed(day);
    await a_second_message_is_turn_2(day);
    await a_reloaded_page_can_still_retry(day);
    await text_is_text(day);
    await conversations_are_kept_apart(day);
    const phone = await visit(browser, { colorScheme: "dark", viewport: NARROW });
    await it_fits_a_phone(phone);
    const faulty = await visit(browser);
    await what_is_wrong_is_shown(faulty);

    equal("no console errors", [...day.record.errors, ...phone.record.errors], []);
    const foreign = [day, phone, faulty].flatMap(({ record }) => record.requests).filter((address) => new URL(address).origin !== origin);
    equal("no requests to other origins", foreign, []);
  } catch (error) {
    check("the run came to its end", false, String(error));
  } finally {
    await browser.close();
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

await main();
