// The page at `/` in headless Chromium, against a server that is already running.
//
//   NODE_PATH=<folder with playwright-core> TURNWISE=<the local runner> \
//   node infra/emulate/page.mjs http://127.0.0.1:8787/ <folder>
//
// A second server is started from TURNWISE, to be killed in mid-answer. The folder is for its data and for screenshots.
// CHROMIUM names another browser than /usr/bin/chromium. Prints a line for each check and "N passed, M failed"; the
// exit status is 1 if one failed.

import { AsyncLocalStorage } from "node:async_hooks";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join } from "node:path";

// `import` does not look at NODE_PATH, `require` does.
const { chromium } = createRequire(import.meta.url)("playwright-core");

const [url, folder] = process.argv.slice(2);
const runner = process.env.TURNWISE;
if (!url || !folder || !runner) {
  console.error("usage: TURNWISE=BINARY node page.mjs URL FOLDER");
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
  const line = `${isTrue ? "ok    " : "FAILED"} ${what}${isTrue || seen === undefined ? "" : `: ${JSON.stringify(seen)}`}`;
  const lines = lane.getStore();
  if (lines) lines.push(line); else console.log(line);
}

/** The lines of a lane of checks: lanes run side by side, and each prints its own together. */
const lane = new AsyncLocalStorage();

/** Runs lanes of checks side by side, as most of their time is waiting; returns what each gave. */
async function sideBySide(...lanes) {
  const results = await Promise.allSettled(lanes.map(async (checks) => {
    const lines = [];
    try {
      return await lane.run(lines, checks);
    } finally {
      console.log(lines.join("\n"));
    }
  }));
  const failure = results.find(({ status }) => status === "rejected");
  if (failure) throw failure.reason;
  return results.map(({ value }) => value);
}

const equal = (what, seen, expected) => check(what, JSON.stringify(seen) === JSON.stringify(expected), { seen, expected });

/** A page in a browser profile of its own, with a record of what it did. */
async function visit(browser, { at = url, ...options } = {}) {
  const context = await browser.newContext({ viewport: WIDE, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const record = { errors: [], requests: [], bodies: [], behind: [] };
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) record.errors.push(message.text()); });
  page.on("pageerror", (error) => record.errors.push(error.message));
  page.on("request", (request) => {
    record.requests.push(request.url());
    if (request.method() === "POST") record.bodies.push(request.postData());
    const behind = request.headers()["last-event-id"];
    if (behind !== undefined) record.behind.push(Number(behind));
  });
  await page.goto(at);
  await page.waitForLoadState("networkidle");
  return { page, record };
}

const shot = (page, name) => page.screenshot({ path: join(folder, `page-${name}.png`) });

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
    /** Resolves once one of its chips says so. */
    async says(words) {
      await root.locator(".chip", { hasText: words }).first().waitFor();
    },
    /** Records what is shown from now on. */
    async watched() {
      await part("answer").evaluate((node) => {
        window.shown = [];
        new MutationObserver(() => window.shown.push(node.textContent)).observe(node, { childList: true });
      });
    },
    plug: () => part("plug").click(),
    goOn: () => part("on").click(),
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
  const expected = [{ name: "delta", id: null, data: "{\"text\":\n\"gr\u00fc\u00df \ud83d\udc4b\"}" }, { name: "message", id: "7", data: "" }];
  equal("events read the same with LF, CRLF and CR, cut at every byte", seen, [JSON.stringify(expected)]);
}

async function a_cut_turn_is_attached_to_and_replayed({ page, record }) {
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
  check("the cut leaves a part of the answer", partial.length > 0 && partial.length < SLOW.length, partial);
  check("its chip says so", (await turn.chips()).includes("connection cut"), await turn.chips());
  const said = await turn.part("note").textContent();
  check("its note says where it was cut, and that the turn goes on", /cut at event \d+, after \d+ characters\. .*goes on without us/.test(said), said);
  check("the keyboard's focus is on Go on", await turn.part("on").evaluate((node) => node === document.activeElement));
  const key = await turn.key();
  equal("the server is still making the answer", (await api(page, `/v1/turns/${encodeURIComponent(key)}`)).status, "PROCESSING");
  equal("nothing is committed yet", (await turnsOf(page, key)).total, 0);
  await shot(page, "cut");

  await turn.watched();
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

/** Ends that must be the same however the answer came: nothing lost, nothing twice, one turn. */
async function it_is_whole(page, turn, number, text, says = "nothing lost, nothing twice") {
  await turn.becomes("committed");
  await page.waitForFunction(() => document.querySelector(".turn:last-child [data-part=counts]").textContent.includes("committed"));
  equal("  the whole answer, once", await turn.answer(), `Echo: ${text}`);
  check("  it says so", (await turn.chips()).includes(says), await turn.chips());
  const { total, data } = await turnsOf(page, await turn.key());
  equal("  one turn, with its number", [total, data.at(-1).message, await turn.number()], [number, `Echo: ${text}`, String(number)]);
  equal("  nothing is kept of it", await page.evaluate(() => Object.keys(localStorage).filter((name) => name.startsWith("turnwise.place."))), []);
}

async function a_cut_turn_goes_on_behind_its_last_event({ page, record }) {
  await pace(page, PACE_MS);
  const turn = await write(page, SLOW);
  await turn.watched();
  await page.locator(".turn [data-part=facts]", { hasText: /^attempt 1\d+ tokens? so far\d+ sevent \d+$/ }).waitFor();
  check("it shows how far it is", true);
  for (const least of [8, 36]) {
    await turn.hasText(least);
    await turn.part("plug").focus();
    await page.keyboard.press("Enter");
    await turn.becomes("cut");
    const partial = await turn.answer();
    // Something is said in the meantime.
    await page.waitForTimeout(2 * PACE_MS);
    equal("a cut stays cut", await turn.answer(), partial);
    await page.keyboard.press("Enter");
    await turn.becomes("streaming");
    check("Go on goes on", (await turn.chips()).includes("gone on"), await turn.chips());
  }
  await it_is_whole(page, turn, 1, SLOW);
  const shown = await page.evaluate(() => window.shown);
  const grows = shown.every((text, at) => `Echo: ${SLOW}`.startsWith(text) && (at === 0 || text.length > shown[at - 1].length));
  check("its text only ever grew", shown.length > 4 && grows, shown);
  equal("it was sent once, and gone on with twice", [record.bodies.length, record.behind.length], [1, 2]);
  check("each time behind a later event", record.behind[0] > 0 && record.behind[1] > record.behind[0], record.behind);
  await shot(page, "gone-on");
}

async function a_reloaded_page_goes_on_where_it_was({ page, record }) {
  const turn = await write(page, SLOW);
  await turn.hasText(12);
  const key = await turn.key();
  await page.reload();
  await page.waitForFunction(() => document.querySelectorAll(".turn").length === 2);
  const again = card(page, "last");
  check("a reload keeps what was read", (await again.answer()).startsWith("Echo: alpha"), await again.answer());
  equal("and the turn's key", [await again.key(), await card(page, 0).number()], [key, "1"]);
  await again.becomes("streaming");
  await it_is_whole(page, again, 2, SLOW);
  equal("it was not sent again", [record.bodies.length, record.behind.length], [2, 3]);

  await pace(page, 100);
  const cut = await write(page, SLOW);
  await cut.hasText(12);
  await cut.plug();
  await cut.becomes("cut");
  const partial = await cut.answer();
  await page.reload();
  await page.waitForFunction(() => document.querySelectorAll(".turn").length === 3);
  const still = card(page, "last");
  if (await still.root.getAttribute("data-state") === "cut") {
    equal("what a person cut stays cut", await still.answer(), partial);
    await still.goOn();
    await it_is_whole(page, still, 3, SLOW);
  } else {
    equal("what was committed in the meantime is shown", await still.answer(), `Echo: ${SLOW}`);
  }
}

/** The first `count` events of a stream, and then what `ends` it. */
const firstEvents = (body, count, ends = "") => `${body.split("\n\n").slice(0, count).join("\n\n")}\n\n${ends}`;

async function a_lost_connection_comes_back_by_itself({ page, record }) {
  await pace(page, 0);
  const handedOver = `event: error\ndata: ${JSON.stringify({ error: { code: "stream_handed_over", message: "Resume.", retryable: true } })}\n\n`;
  for (const [number, ends, how] of [[4, "", "after a pause"], [5, handedOver, "at once"]]) {
    await page.route("**/v1/chat", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: firstEvents(await response.text(), 6, ends) });
    }, { times: 1 });
    const turn = await write(page, SLOW);
    if (!ends) {
      await turn.says("connection lost");
      await turn.says(/goes on in \d s/);
      check("the note counts the tries", (await turn.part("note").textContent()).includes("Try 1 of 7"), await turn.part("note").textContent());
    }
    await it_is_whole(page, turn, number, SLOW);
    equal(`a lost connection comes back ${how}`, (await turn.requests()).map((line) => line.replace(/ [\d.]+ s.*/, "")), ["1connection lost after 29 characters", "2gone on behind event 5"]);
  }
  equal("each was sent once", record.bodies.length, 5);
}

/** A server of its own, on a folder of its own, that can be killed. */
async function mortal() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  const data = join(folder, "page-killed-data");
  rmSync(data, { recursive: true, force: true });
  const env = { ...process.env, TURNWISE_PORT: String(port), TURNWISE_DATA_DIR: data };
  const at = `http://127.0.0.1:${port}/`;
  let child = null;
  return {
    at,
    async start() {
      child = spawn(runner, ["serve"], { env, stdio: "ignore" });
      const until = Date.now() + PATIENCE_MS;
      while (!await fetch(`${at}healthz`).then((response) => response.ok, () => false)) {
        if (Date.now() > until || child.exitCode !== null) throw new Error("the server to be killed does not start");
        await new Promise((wake) => setTimeout(wake, 50));
      }
    },
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    },
  };
}

async function a_killed_server_is_survived(browser, colorScheme) {
  const server = await mortal();
  await server.start();
  try {
    const { page, record } = await visit(browser, { at: server.at, colorScheme });
    await pace(page, PACE_MS);
    const turn = await write(page, SLOW);
    await turn.hasText(20);
    await server.kill();
    await turn.says("server down");
    await turn.says(/goes on in \d s/);
    const partial = await turn.answer();
    check("what was read stays", `Echo: ${SLOW}`.startsWith(partial) && partial.length >= 20, partial);
    await shot(page, "down");
    await server.start();
    await turn.says("taken over");
    check("it says so in words", (await turn.part("note").textContent()).includes("another attempt answer anew"));
    equal("it offers the new text", await turn.part("on").textContent(), "Take the new text");
    equal("and leaves the old one until then", await turn.answer(), partial);
    await shot(page, "taken-over");
    await turn.goOn();
    await turn.becomes("streaming");
    await turn.says("restarted");
    await it_is_whole(page, turn, 1, SLOW, "the new text, whole");
    equal("attempt 2 made it", (await turn.part("facts").textContent()).includes("attempt 2"), true);
    equal("it was sent once", record.bodies.length, 1);

    await pace(page, 100);
    const later = await write(page, SLOW);
    await later.hasText(20);
    await later.plug();
    await later.says("committed");
    await server.kill();
    await page.evaluate(() => PAUSES_S.splice(1));
    await later.goOn();
    await later.part("note").filter({ hasText: "the answer goes on when it is back" }).waitFor();
    await server.start();
    await it_is_whole(page, later, 2, SLOW);
    check("a stream that had ended before the server was killed goes on when it is back", (await later.requests()).at(-1).includes("the pieces as they came"), await later.requests());
    await shot(page, "survived");
    return record;
  } finally {
    await server.kill();
  }
}

async function text_is_text({ page }) {
  await pace(page, 0);
  await page.locator("#message").fill("<img src=x onerror=alert(1)>");
  await page.locator("#message").press("Shift+Enter");
  await page.locator("#message").pressSequentially("<b>second line</b>");
  equal("Shift+Enter does not send", await page.locator(".turn").count(), 2);
  await page.locator("#message").press("Enter");
  const turn = card(page, 2);
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
  await page.waitForFunction(() => document.querySelectorAll(".turn").length === 3);
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
  await silent.says("connection lost");
  check("a stream that ends without its end is a lost connection", (await silent.chips()).includes("connection lost"), await silent.chips());
  await page.unroute("**/v1/chat");
  await silent.becomes("committed");
  equal("one of which nothing could be gone on with is sent again", [await silent.answer(), await silent.counts()], ["Echo: silent", "requests sent: 2 · turns committed: 1"]);

  const twice = "event: delta\nid: 1\ndata: {\"text\":\"half\"}\n\n";
  const whole = { ...answer, turn_number: 3, message: "halfhalf" };
  await page.route("**/v1/chat", (route) => route.fulfill({ headers: { "content-type": "text/event-stream" }, body: `${twice}${twice}event: done\nid: 2\ndata: ${JSON.stringify(whole)}\n\n` }));
  const doubled = await write(page, "doubled");
  await doubled.becomes("committed");
  check("an event that comes twice is told", (await doubled.chips()).includes("out of order"), await doubled.chips());
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
    const [[day, phone, faulty], [light, killed]] = await sideBySide(async () => {
      const day = await visit(browser, { colorScheme: "light" });
      await an_empty_page_teaches(day);
      await a_stream_reads_the_same_however_it_is_cut(day);
      await a_cut_turn_is_attached_to_and_replayed(day);
      await a_second_message_is_turn_2(day);
      await text_is_text(day);
      await conversations_are_kept_apart(day);
      const phone = await visit(browser, { colorScheme: "dark", viewport: NARROW });
      await it_fits_a_phone(phone);
      const faulty = await visit(browser);
      await what_is_wrong_is_shown(faulty);
      return [day, phone, faulty];
    }, async () => {
      const light = await visit(browser, { colorScheme: "light" });
      await a_cut_turn_goes_on_behind_its_last_event(light);
      await a_reloaded_page_goes_on_where_it_was(light);
      await a_lost_connection_comes_back_by_itself(light);
      return [light, await a_killed_server_is_survived(browser, "dark")];
    });

    equal("no console errors", [...day.record.errors, ...light.record.errors, ...phone.record.errors], []);
    equal("no console errors but those of a server that is gone", killed.errors.filter((text) => !text.includes("net::ERR_")), []);
    const foreign = [day, light, phone, faulty].flatMap(({ record }) => record.requests).filter((address) => new URL(address).origin !== origin);
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
