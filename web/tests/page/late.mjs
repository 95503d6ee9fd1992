// node tests/page/late.mjs PATH_OF_WATRA [--rounds N] [--model NAME] [--card]: how late the page is while a real server speaks as fast as it
// can (smollm2 repeats itself, and what repeats is drafted). Told of every answer: from the server's word (the event's own time) to the page's
// hearing of it, from there to the DOM, from there to the picture; from a click on Stop to its request; tasks over 50 ms. By the wall clock:
// a person waits by it too. The server may gather words (`gather_ms`), and does for a page without a card: that is in the first figure.
import { parseArgs } from 'node:util';

import { launch, open } from './harness.mjs';

const { values, positionals } = parseArgs({ options: { rounds: { type: 'string', default: '5' }, model: { type: 'string', default: 'smollm2' }, card: { type: 'boolean' } }, allowPositionals: true });
const browser = await launch();
const { page, done } = await open(browser, { real: positionals[0], model: values.model, lang: 'en', card: values.card }, { locale: 'en-US' });
await page.addInitScript(() => {
  const seen = globalThis.seen = { heard: [], put: [], drawn: [], long: [], stop: {} };
  const Real = globalThis.EventSource;
  globalThis.EventSource = class extends Real {
    set onmessage(take) {
      super.onmessage = (message) => {
        const event = JSON.parse(message.data);
        if (event.type === 'answer.piece') seen.heard.push([event.at, performance.timeOrigin + performance.now()]);
        take(message);
      };
    }
  };
  const now = () => performance.timeOrigin + performance.now();
  new MutationObserver((changes) => {
    if (!changes.some((change) => (change.target.closest ? change.target : change.target.parentElement)?.closest('.md'))) return;
    seen.put.push(now());
    requestAnimationFrame(() => { const channel = new MessageChannel(); channel.port1.onmessage = () => { seen.drawn.push(now()); }; channel.port2.postMessage(0); });
  }).observe(document, { subtree: true, childList: true, characterData: true });
  new PerformanceObserver((list) => { for (const task of list.getEntries()) seen.long.push([performance.timeOrigin + task.startTime, task.duration]); }).observe({ type: 'longtask' });
  document.addEventListener('click', (event) => { seen.stop.click ??= performance.timeOrigin + event.timeStamp; seen.stop.told ??= now(); }, true);
  const real = globalThis.fetch;
  globalThis.fetch = (way, init) => { if (/\/stop$/.test(String(way))) seen.stop.sent ??= now(); return real(way, init); };
});
await page.evaluate(() => fetch('/watra/v1/settings', { method: 'PATCH', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify({ 'house.first_start_done': true, 'sampling.max_tokens': 1500, 'sampling.seed': 7 }) }));
const of = (list, share) => (list.length === 0 ? NaN : [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * share))]);
const told = (name, list) => `${name} ${of(list, 0.5).toFixed(0)} / ${of(list, 0.95).toFixed(0)} / ${Math.max(...list).toFixed(0)}`;
console.log('ms, median / p95 / longest');
for (let round = 0; round < Number(values.rounds); round++) {
  await page.goto(`${page.url().split('#')[0]}#/izba`);
  await page.reload();
  await page.getByRole('textbox', { name: 'Message' }).fill('Tell me a very long story about a shepherd.');
  await page.getByRole('button', { name: 'Send' }).click();
  await page.waitForFunction(() => globalThis.seen.heard.length > 0 && (document.querySelector('.md')?.textContent.length ?? 0) > 1200);
  await page.evaluate(() => { globalThis.seen.stop = {}; });
  const box = await page.getByRole('button', { name: 'Stop' }).boundingBox();
  const pressed = Date.now();
  if (box) await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  await page.waitForFunction(() => !document.querySelector('.log[aria-busy=true]'));
  const { seen, facts } = await page.evaluate(async () => ({ seen: globalThis.seen, facts: (await (await fetch(`/watra/v1/threads/${location.hash.split('/')[2]}/messages`)).json()).messages.at(-1).answer }));
  const next = (list, at) => (list.find((one) => one >= at) ?? NaN) - at;
  const { heard, put, drawn, long, stop } = seen;
  console.log([`${facts?.n_generated ?? '?'} tokens, ${facts?.decode_tokens_per_s?.toFixed(0) ?? '?'} tokens/s`,
    told('said to heard', heard.map(([at, ms]) => ms - at)), told('heard to DOM', heard.map(([, ms]) => next(put, ms)).filter((ms) => ms >= 0)), told('DOM to picture', put.map((ms) => next(drawn, ms)).filter((ms) => ms >= 0)),
    `long tasks ${long.filter(([at]) => at > heard[0][1] - 500).map(([at, ms]) => `${ms.toFixed(0)} (${(at - heard[0][1]).toFixed(0)} after the first word)`).join(', ') || 'none'}`,
    box ? `Stop: pressed to click ${(stop.click - pressed).toFixed(0)}, click to told ${(stop.told - stop.click).toFixed(0)}, to request ${(stop.sent - stop.told).toFixed(0)}` : 'Stop: too late'].join('; '));
}
await done();
await browser.close();
