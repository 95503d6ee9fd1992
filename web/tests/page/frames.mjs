// node tests/page/frames.mjs: 200 tokens a second into a thread of 5,000 messages; what the page's main thread does in each frame of 1/60 s.
// HOUSE: the 95th percentile at most 6 ms, no long task (50 ms).
import { launch, open } from './harness.mjs';

const SECONDS = Number(process.argv[2] ?? 15);
const browser = await launch();
const { page, done } = await open(browser, { big: true, rate: 200, lang: 'en' });
page.setDefaultTimeout(120_000);
await page.locator('.list a', { hasText: 'Zima na hali' }).click();
await page.waitForSelector('.md > *');
await page.waitForTimeout(4000); // all 5,000 are here
await page.getByRole('textbox', { name: 'Message' }).fill('Tell me long things');
await page.getByRole('button', { name: 'Send' }).click();
await page.waitForTimeout(1500);
const client = await page.context().newCDPSession(page);
const events = [];
client.on('Tracing.dataCollected', ({ value }) => events.push(...value));
await client.send('Tracing.start', { transferMode: 'ReportEvents', traceConfig: { includedCategories: ['toplevel', 'devtools.timeline', 'disabled-by-default-devtools.timeline'] } });
await page.waitForTimeout(SECONDS * 1000);
const ended = new Promise((resolve) => { client.on('Tracing.tracingComplete', resolve); });
await client.send('Tracing.end');
await ended;
const main = events.find((e) => e.name === 'thread_name' && e.args?.name === 'CrRendererMain' && events.some((x) => x.pid === e.pid && x.name === 'FunctionCall'));
const tasks = events.filter((e) => e.ph === 'X' && /RunTask/.test(e.name) && e.pid === main?.pid && e.tid === main?.tid);
const start = Math.min(...tasks.map((t) => t.ts));
const frames = new Map();
for (const t of tasks) { const frame = Math.floor((t.ts - start) / 16_667); frames.set(frame, (frames.get(frame) ?? 0) + t.dur / 1000); }
const total = Math.max(...frames.keys()) + 1;
const work = Array.from({ length: total }, (_, i) => frames.get(i) ?? 0).sort((a, b) => a - b);
const at = (share) => work[Math.min(total - 1, Math.floor(total * share))];
const longest = Math.max(...tasks.map((t) => t.dur / 1000));
console.log(`frames ${total}, main thread per frame: median ${at(0.5).toFixed(2)} ms, p95 ${at(0.95).toFixed(2)} ms, p99 ${at(0.99).toFixed(2)} ms; longest task ${longest.toFixed(1)} ms; tasks over 50 ms: ${tasks.filter((t) => t.dur > 50_000).length}`);
await done();
await browser.close();
process.exit(at(0.95) <= 6 && longest < 50 ? 0 : 1);
