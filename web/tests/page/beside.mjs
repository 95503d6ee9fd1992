// tools/web beside WATRA [--model NAME] [--rounds N] [--tokens N] [--states heard,open,card,fire] [--draft none] [--team N] [--threads]: decode speed with the page open beside the page closed, in turn, in one run.
// Five states: nobody listens; a program reads the event stream and draws nothing (what the server pays); the page is open, as it is where the processor draws it: words in steps,
// a still fire, in a browser that nobody steers; the page is open and shows words as oft as with a graphics card; the same with the fire drawn by the processor. Beside each speed: the processor
// time of the browser by kind of process and of the server, a second of decoding, and what went over the stream. --threads: that of each thread too, and how often it ran.
// --team: threads that decode; fewer than the machine's cores leave the browser one, as on a machine with cores to spare.
import { readdirSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { asWithACard, launch, launchAlone, letItBurn } from './harness.mjs';
import { startReal } from './real.mjs';

const { values, positionals } = parseArgs({ options: { model: { type: 'string', default: 'smollm2' }, rounds: { type: 'string', default: '6' }, tokens: { type: 'string', default: '256' }, states: { type: 'string', default: '' }, draft: { type: 'string', default: 'none' }, team: { type: 'string', default: '' }, threads: { type: 'boolean', default: false } }, allowPositionals: true });
const rounds = Number(values.rounds);
const server = await startReal(positionals[0] ?? 'build/release/bin/watra', { model: values.model, args: ['--draft', values.draft, ...(values.team ? ['--threads', values.team] : [])], files: /./ });
const auth = { Authorization: `Bearer ${server.token()}` };
const api = async (method, path, body) => {
  const answer = await fetch(`${server.url}/watra/v1${path}`, { method, headers: { ...auth, 'X-Watra': '1', 'Content-Type': 'application/json' }, ...(body ? { body: JSON.stringify(body) } : {}) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? null : answer.json();
};
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
await api('PATCH', '/settings', { 'house.first_start_done': true, 'sampling.seed': 7, 'sampling.max_tokens': Number(values.tokens) });

const KINDS = ['', 'renderer', 'gpu-process', 'utility']; // the whole browser, the page's own process, the one that puts the picture together, the network

/** The processes under a pid, itself included, as [pid, kind (chromium's --type)]. */
function family(root) {
  const all = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      all.set(Number(pid), { parent: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]), kind: /--type=([\w-]+)/.exec(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))?.[1] ?? 'browser' });
    } catch { /* it ended meanwhile */ }
  }
  const under = (pid) => pid === root || (all.has(pid) && all.get(pid).parent > 1 && under(all.get(pid).parent));
  return [...all].filter(([pid]) => under(pid)).map(([pid, { kind }]) => [pid, kind]);
}
/** Processor seconds of these processes so far, in the order of KINDS. */
function spent(processes) {
  const sums = KINDS.map(() => 0);
  for (const [pid, kind] of processes) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const field = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      for (const k of [0, KINDS.indexOf(kind)]) if (k >= 0) sums[k] += (Number(field[11]) + Number(field[12])) / 100;
    } catch { /* it ended meanwhile */ }
  }
  return sums;
}
/** Of each thread: processor seconds and how often it was put on a processor. */
function threads(processes) {
  const of = new Map();
  for (const [pid, kind] of processes) {
    try {
      for (const tid of readdirSync(`/proc/${pid}/task`)) {
        const [ns, , turns] = readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ').map(Number);
        of.set(`${kind} ${readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8').trim()} ${pid}/${tid}`, { seconds: ns / 1e9, turns });
      }
    } catch { /* it ended meanwhile */ }
  }
  return of;
}

const stream = { events: 0, bytes: 0, kinds: new Map() };
async function listen(signal) {
  const answer = await fetch(`${server.url}/watra/v1/events`, { headers: auth, signal });
  try { for await (const piece of answer.body) { 
    stream.bytes += piece.length;
    for (const [, kind] of Buffer.from(piece).toString().matchAll(/"type":"([\w.]+)"/g)) { stream.events++; stream.kinds.set(kind, (stream.kinds.get(kind) ?? 0) + 1); }
  } } catch { /* hung up on purpose */ }
}
/** Its pid: the browser is the only child of ours that was not there before. */
const children = () => readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => { try { const s = readFileSync(`/proc/${pid}/stat`, 'utf8'); return Number(s.slice(s.lastIndexOf(')') + 2).split(' ')[1]) === process.pid; } catch { return false; } });
async function browse({ fire = false, card = false }) {
  const before = children();
  const browser = await launch({ fire });
  const pid = children().find((one) => !before.includes(one));
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-US' });
  if (fire) await letItBurn(context);
  if (card) await asWithACard(context);
  const page = await context.newPage();
  return { browser, page, pid };
}
const all = { closed: ['page closed', null], heard: ['a program listens', 'program'], open: ['page open', 'alone'], card: ['open, words as oft as with a card', { card: true }], fire: ['the same, fire drawn by the processor', { fire: true }] };
const wanted = values.states === '' ? Object.keys(all) : ['closed', ...values.states.split(',').filter((word) => word !== 'closed')];
const STATES = [];
async function end() { for (const [, who] of STATES) { await who?.browser?.close(); await who?.alone?.end(); } await server.close(); }
const doorOf = async () => `${server.url}/?lang=en#enter=${(await api('POST', '/codes', {})).code}`; // each browser has a way in of its own
async function prepare(name, who) {
  if (who === null || who === 'program') { STATES.push([name, who]); return; }
  if (who === 'alone') {
    const browser = await launchAlone();
    STATES.push([name, { pid: browser.pid, alone: browser }]);
    const tab = await browser.open(await doorOf());
    await browser.shows(`${server.url}/`, '.home');
    await browser.close(tab);
    return;
  }
  const one = await browse(who);
  STATES.push([name, one]);
  await one.page.goto(await doorOf());
  await one.page.waitForSelector('.home');
  await one.page.goto('about:blank');
}
try { for (const word of wanted) await prepare(...all[word]); } catch (error) { await end(); throw error; }
const rows = new Map(STATES.map(([name]) => [name, []]));

async function one(name, who) {
  const thread = await api('POST', '/threads', { client_id: `t${Math.random().toString(36).slice(2)}` });
  const hangUp = new AbortController();
  let heard;
  if (who === 'program') heard = listen(hangUp.signal);
  const address = `${server.url}/?lang=en#/izba/${thread.id}`;
  let tab;
  if (who?.alone) { tab = await who.alone.open(address); await who.alone.shows(address, '.composer'); await pause(1000); } else if (who?.page) { await who.page.goto(address); await who.page.waitForSelector('.composer'); }
  await pause(900);
  const [browser, house] = [who?.pid ? family(who.pid) : [], family(server.pid)];
  const [events, bytes] = [stream.events, stream.bytes];
  const turn = await api('POST', `/threads/${thread.id}/turns`, { client_id: `c${Math.random().toString(36).slice(2)}`, parts: [{ type: 'text', text: 'Tell me a very long story about a shepherd, a dog and a fire that never goes out.' }] });
  // Processor time is told of the while in which words come: from the first look that finds some to the last one before the end.
  const look = () => ({ at: performance.now() / 1000, browser: spent(browser), house: spent(house)[0], threads: values.threads ? threads([...browser, ...house]) : null });
  let [first, last] = [null, null];
  for (;;) {
    await pause(250);
    const run = (await api('GET', '/runs')).runs.find((one) => one.answer === turn.answer.id);
    if (!run) break;
    if (run.write) { last = look(); first ??= last; }
  }
  const answer = (await api('GET', `/threads/${thread.id}/messages`)).messages.find((m) => m.id === turn.answer.id);
  const a_second = (of) => (last && last.at > first.at ? (of(last) - of(first)) / (last.at - first.at) : 0);
  const seconds = answer.answer.n_generated / answer.answer.decode_tokens_per_s;
  rows.get(name).push({ rate: answer.answer.decode_tokens_per_s, tokens: answer.answer.n_generated, browser: KINDS.map((_, k) => a_second((l) => l.browser[k])), server: a_second((l) => l.house), events: (stream.events - events) / seconds, bytes: (stream.bytes - bytes) / Math.max(1, answer.answer.n_generated),
    threads: first?.threads ? [...last.threads].map(([thread, { seconds: s, turns }]) => { const before = first.threads.get(thread) ?? { seconds: 0, turns: 0 }; return [thread, (s - before.seconds) / (last.at - first.at), (turns - before.turns) / (last.at - first.at)]; }) : [] });
  hangUp.abort();
  await heard;
  if (who?.page) await who.page.goto('about:blank');
  if (tab) {
    const said = answer.parts.map((part) => (part.type === 'text' ? part.text : '')).join('').length; // and half as much with its signs of Markdown gone
    for (let tries = 0; ; tries++) {
      const [seen, shown] = await who.alone.look(address, () => [document.visibilityState, document.querySelector('.last .md')?.textContent.length ?? 0]);
      if (seen === 'visible' && shown > 0 && shown >= said / 2) break;
      if (tries === 20) throw new Error(`the page that nobody steers does not show the answer: ${seen}, ${shown} characters of ${said}`);
      await pause(250);
    }
    await who.alone.close(tab);
  }
}
try {
  for (const [name, who] of STATES) await one(name, who); // warm
  for (const list of rows.values()) list.length = 0;
  for (let round = 0; round < rounds; round++) for (let k = 0; k < STATES.length; k++) await one(...STATES[(k + round) % STATES.length]);
} finally { await end(); }

const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
const closed = rows.get('page closed');
console.log(`${values.model}, ${rounds} rounds in turn, ${values.tokens} tokens at most; ratios are medians of pairs of a round; browser: whole, the page's process, the one that puts the picture together, the network`);
for (const [name, list] of rows) {
  const ratio = median(list.map((row, i) => row.rate / closed[i].rate));
  console.log(`${name.padEnd(38)} ${median(list.map((r) => r.rate)).toFixed(1).padStart(7)} tok/s  ${ratio.toFixed(3)}  browser ${KINDS.map((_, k) => median(list.map((r) => r.browser[k])).toFixed(2)).join(', ')} s/s, server ${median(list.map((r) => r.server)).toFixed(2)} s/s${name === 'a program listens' ? `, ${median(list.map((r) => r.events)).toFixed(0)} events/s, ${median(list.map((r) => r.bytes)).toFixed(0)} bytes a token` : ''}`);
}
if (values.threads) for (const [name, list] of rows) {
  const sums = new Map();
  for (const row of list) for (const [thread, time, turns] of row.threads) { const key = thread.replace(/\d* \d+\/\d+$/, ''); const sum = sums.get(key) ?? [0, 0]; sums.set(key, [sum[0] + time / list.length, sum[1] + turns / list.length]); }
  console.log(name);
  for (const [thread, [time, turns]] of [...sums].sort((a, b) => b[1][0] - a[1][0]).slice(0, 24)) console.log(`  ${(1000 * time).toFixed(1).padStart(7)} ms/s ${turns.toFixed(0).padStart(6)} turns/s  ${thread}`);
}
console.log(`events heard: ${[...stream.kinds].map(([kind, n]) => `${kind} ${n}`).join(', ')}`);
