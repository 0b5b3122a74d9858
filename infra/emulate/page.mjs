// Uses the page as a person would: sends a message, sees the answer grow, pulls the plug in mid-answer, retries, and
// finds one turn. Elements are found by what a person or a screen reader sees, not by their markup.
//
//   node infra/emulate/page.mjs URL KEY BROWSER SCREENSHOT

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(new URL("../../target/tools/node/", import.meta.url));
const { chromium } = require("playwright-core");

const [url, key, browserPath, screenshot] = process.argv.slice(2);
const words = Array.from({ length: 40 }, (_, number) => `word${number}`);
const say = (text) => console.log(`   ${text}`);

const profile = mkdtempSync(join(tmpdir(), "turnwise-page-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: browserPath,
  headless: true,
  viewport: { width: 1100, height: 800 },
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});

try {
  const page = await browser.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  const turns = [];
  page.on("request", (request) => {
    const { pathname, origin } = new URL(request.url());
    if (origin !== new URL(url).origin) problems.push(`the page asks ${origin}`);
    if (request.method() === "POST" && pathname.startsWith("/v1/chat")) turns.push(request);
  });

  // The echo is slowed here, so that there is a middle to pull the plug in whatever the page asks for.
  await page.route("**/v1/chat", (route) => {
    const body = { ...route.request().postDataJSON(), model: "local/echo", echo_delay_ms: 100 };
    return route.continue({ postData: JSON.stringify(body) });
  });

  await page.goto(url);
  assert.match(await page.title(), /turnwise/i);

  await page.getByRole("textbox", { name: /message/i }).fill(words.join(" "));
  await page.getByRole("button", { name: /send/i }).click();
  await page.waitForFunction(([begin, end]) => {
    const seen = (word) => document.body.innerText.split(new RegExp(`\\b${word}\\b`)).length - 1;
    return seen(begin) > seen(end); // the message holds both, the answer only the first so far
  }, [words.at(2), words.at(-1)]);
  say("the answer grows on the page");

  await page.getByRole("button", { name: /pull the plug/i }).click();
  const retry = page.getByRole("button", { name: /retry/i });
  await retry.waitFor();
  say("the plug is pulled in mid-answer");
  await retry.click();

  await page.waitForFunction(([begin, end]) => {
    const seen = (word) => document.body.innerText.split(new RegExp(`\\b${word}\\b`)).length - 1;
    return seen(end) > 1 && seen(begin) === seen(end);
  }, [words.at(2), words.at(-1)]);
  await page.screenshot({ path: screenshot });
  say("the retry shows the whole answer");

  assert.equal(turns.length, 2, "one request and one retry");
  const [first, second] = await Promise.all(turns.map(async (request) => nameOf(request, await request.allHeaders())));
  assert.equal(second, first, "the retry names the same turn");

  const answer = await fetch(`${url}/v1/turns/${encodeURIComponent(first)}`, {
    headers: { authorization: `Bearer ${key}` },
  });
  assert.equal(answer.status, 200);
  const turn = await answer.json();
  assert.equal(turn.status, "COMPLETED");
  assert.equal(turn.turn_number, 1, "the conversation has one turn, not two");
  say(`it is the same turn, number ${turn.turn_number}: ${first}`);

  assert.deepEqual(problems, []);
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}

// The key that a request names its turn by: the header, or session_id:turn_id of the body.
function nameOf(request, headers) {
  const body = request.postDataJSON();
  return headers["idempotency-key"] ?? `${body.session_id ?? body.thread_id}:${body.turn_id}`;
}
