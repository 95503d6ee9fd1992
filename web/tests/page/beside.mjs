// tools/web beside WATRA [--model NAME] [--rounds N] [--tokens N] [--states heard,open,card,fire] [--draft none]: decode speed with the page open beside the page closed, in turn, in one run.
// Five states: nobody listens; a program reads the event stream and draws nothing (what the server pays); the page is open, as it is where the processor draws it: words in steps,
// a still fire; the page is open and shows words as oft as with a graphics card; the same with the fire drawn by the processor. Beside each speed: the processor
// time of the browser by kind of process and of the server, a second of decoding, and what went over the stream.
import { readdirSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { asWithACard, launch, letItBurn } from './harness.mjs';
import { startReal } from './real.mjs';

const { values, positionals } = parseArgs({ options: { model: { type: 'string', default: 'smollm2' }, rounds: { type: 'string', default: '6' }, tokens: { type: 'string', default: '256' }, states: { type: 'string', default: '' }, draft: { type: 'string', default: 'none' } }, allowPositionals: true });
const rounds = Number(values.rounds);
const server = await startReal(positionals[0] ?? 'build/release/bin/watra', { model: values.model, args: ['--draft', values.draft] });
const auth = { Authorization: `Bearer ${server.token()}` };
const api = async (method, path, body) => {
  const answer = await fetch(`${server.url}/watra/v1${path}`, { method, headers: { ...auth, 'X-Watra': '1', 'Content-Type': 'application/json' }, ...(body ? { body: JSON.stringify(body) } : {}) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? null : answer.json();
};
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
await api('PATCH', '/settings', { 'house.first_start_done': true, 'sampling.seed': 7, 'sampling.max_tokens': Number(values.tokens) });

const KINDS = ['', 'renderer', 'gpu-process', 'utility']; // the whole browser, the page's own process, the one that puts the picture together, the network

/** Processor seconds of the processes under a pid, itself included; `kind`: only those of a kind (chromium's --type). */
function spent(root, kind = '') {
  const of = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const field = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const counts = kind === '' || readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`--type=${kind}`);
      of.set(Number(pid), { parent: Number(field[1]), ticks: counts ? Number(field[11]) + Number(field[12]) : 0 });
    } catch { /* it ended meanwhile */ }
  }
  const under = (pid) => pid === root || (of.has(pid) && of.get(pid).parent > 1 && under(of.get(pid).parent));
  return [...of].reduce((sum, [pid, { ticks }]) => sum + (under(pid) ? ticks / 100 : 0), 0);
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
const all = { closed: ['page closed', null], heard: ['a program listens', 'program'], open: ['page open', {}], card: ['open, words as oft as with a card', { card: true }], fire: ['the same, fire drawn by the processor', { fire: true }] };
const wanted = values.states === '' ? Object.keys(all) : ['closed', ...values.states.split(',').filter((word) => word !== 'closed')];
const STATES = [];
let cookies; // one way in, several browsers
for (const [name, who] of wanted.map((word) => all[word])) {
  if (who === null || who === 'program') { STATES.push([name, who]); continue; }
  const one = await browse(who);
  if (cookies) await one.page.context().addCookies(cookies);
  else {
    await one.page.goto(server.way.replace('/#', '/?lang=en#'));
    await one.page.waitForSelector('.home');
    cookies = await one.page.context().cookies();
    await one.page.goto('about:blank');
  }
  STATES.push([name, one]);
}
const rows = new Map(STATES.map(([name]) => [name, []]));

async function one(name, who) {
  const thread = await api('POST', '/threads', { client_id: `t${Math.random().toString(36).slice(2)}` });
  const hangUp = new AbortController();
  let heard;
  if (who === 'program') heard = listen(hangUp.signal);
  else if (who) { await who.page.goto(`${server.url}/?lang=en#/izba/${thread.id}`); await who.page.waitForSelector('.composer'); }
  await pause(900);
  const browserSpent = () => KINDS.map((kind) => (who?.pid ? spent(who.pid, kind) : 0));
  const [browserBefore, serverBefore, events, bytes] = [browserSpent(), spent(server.pid), stream.events, stream.bytes];
  const turn = await api('POST', `/threads/${thread.id}/turns`, { client_id: `c${Math.random().toString(36).slice(2)}`, parts: [{ type: 'text', text: 'Tell me a very long story about a shepherd, a dog and a fire that never goes out.' }] });
  let answer;
  for (;;) {
    await pause(200);
    answer = (await api('GET', `/threads/${thread.id}/messages`)).messages.find((m) => m.id === turn.answer.id);
    if (answer.state !== 'running') break;
  }
  const seconds = answer.answer.n_generated / answer.answer.decode_tokens_per_s;
  rows.get(name).push({ rate: answer.answer.decode_tokens_per_s, tokens: answer.answer.n_generated, browser: browserSpent().map((s, k) => (s - browserBefore[k]) / seconds), server: (spent(server.pid) - serverBefore) / seconds, events: (stream.events - events) / seconds, bytes: (stream.bytes - bytes) / Math.max(1, answer.answer.n_generated) });
  hangUp.abort();
  await heard;
  if (who?.page) await who.page.goto('about:blank');
}
async function end() { for (const [, who] of STATES) await who?.browser?.close(); await server.close(); }
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
console.log(`events heard: ${[...stream.kinds].map(([kind, n]) => `${kind} ${n}`).join(', ')}`);
