// Runs: an answer that is read, thought and spoken at a settable rate, whoever watches. Pieces are committed into the message first.
import { id, Refusal } from './house.mjs';
import { answers, looksPolish, pieces, reasoning } from './words.mjs';

const plain = (message) => message.parts.filter((p) => p.type === 'text').map((p) => p.text).join('');

export function newMessage(house, thread, fields) {
  const message = { id: id('m'), log: ++house.log, seq: house.seq, thread: thread.id, parent: null, role: 'user', actor: { kind: 'person', id: null, name: null }, at_ms: Date.now(), parts: [], state: 'done',
    pinned: false, ref: null, source: 'page', origin: null, answer: null, error: null, ...fields };
  house.messages.set(message.id, message);
  thread.n_messages++;
  thread.updated_ms = message.at_ms;
  return message;
}

export function contextOf(house, thread, head) {
  let used = 40;
  let seesFrom = null;
  const nCtx = house.engine.n_ctx ?? 8192;
  for (let at = house.messages.get(head ?? thread.head); at; at = house.messages.get(at.parent)) {
    const cost = Math.ceil(plain(at).length / 3.4) + 6;
    if (used + cost > nCtx - 1024) { seesFrom ??= at.parent; break; }
    used += cost;
    seesFrom = at.id;
  }
  return { n_ctx: nCtx, used_tokens: used, reserve_tokens: 1024, sees_from: seesFrom };
}

function facts(house, run, message, started, first, nGenerated, reason) {
  const model = house.models.find((m) => m.id === run.model) ?? house.models[0];
  const seconds = (performance.now() - first) / 1000 || 0.001;
  return { model: { id: model.id, name: model.name, sha256: model.sha256, quant: model.quant, template: 'chatml' }, persona: run.persona ?? null, sampling: run.sampling ?? {}, seed: run.seed, prompt_hash: run.id.slice(2),
    n_prompt: run.read?.total ?? 0, n_cached: 12, n_generated: nGenerated, ttft_ms: first - started, prefill_tokens_per_s: 940, decode_tokens_per_s: nGenerated / seconds, predicted_tokens_per_s: model.estimate?.decode_tokens_per_s ?? null,
    seconds: (performance.now() - started) / 1000, finish_reason: reason, tau: 2.4, context: contextOf(house, house.threads.get(message.thread), message.id), memory_bytes: 8.8e9 };
}

export function startRun(house, thread, answer, wish = {}) {
  const run = { id: id('r'), thread: thread.id, answer: answer.id, state: 'queued', ahead: 0, read: null, write: null };
  const live = { run, model: wish.model ?? house.engine.model, sampling: wish.sampling ?? {}, persona: wish.persona ?? null, seed: wish.sampling?.seed > 0 ? wish.sampling.seed : Math.floor(Math.random() * 1e9), stop: false };
  house.runs.set(run.id, live);
  thread.run = run.id;
  answer.state = 'running';
  house.emit('answer.started', { run: { ...run }, message: structuredClone(answer) }, thread.id, answer.id);
  speak(house, thread, answer, live, wish).catch((error) => { console.error('mock run', error); });
  return run;
}

async function speak(house, thread, answer, live, wish) {
  const { run } = live;
  const started = performance.now();
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const tell = (state) => { run.state = state; house.emit('answer.progress', { ...run }, thread.id, answer.id); };
  const end = (state, reason, error = null) => {
    run.state = state;
    Object.assign(answer, { state: state === 'done' ? 'done' : state, error });
    answer.answer = { ...facts(house, { ...live, id: run.id, read: run.read }, answer, started, live.first ?? performance.now(), run.write?.done ?? 0, reason) };
    answer.seq = house.seq + 1;
    thread.run = null;
    house.runs.delete(run.id);
    const shown = structuredClone(answer);
    if (wish.blind?.()) shown.answer = null;
    house.emit('answer.ended', { run: { ...run }, message: shown }, thread.id, answer.id);
    house.emit('thread.changed', { ...thread });
    if (error) house.setHearth('error'); else if (house.runs.size === 0) house.rest();
    wish.ended?.();
  };

  const question = house.messages.get(answer.parent);
  const asked = question ? plain(question) : '';
  const language = looksPolish(asked) ? 'pl' : 'en';
  const total = Math.max(24, Math.ceil(asked.length / 3.4) + 40);
  const slow = house.options.rate < 3;

  if (house.failNext === 'run') {
    house.failNext = null;
    await wait(200);
    return end('failed', 'failed', { code: 'engine.out_of_memory', message: 'the answer needs 1.2 GB more than --ram allows' });
  }
  for (let step = 0; step <= (slow ? 8 : 2); step++) {
    if (live.stop) return end('stopped', 'stopped');
    const done = Math.round((total * step) / (slow ? 8 : 2));
    run.read = { done, total, tokens_per_s: slow ? 12 : 900, left_s: (total - done) / (slow ? 12 : 900) };
    tell('reading');
    house.setHearth('reading', done / total, run.read.tokens_per_s);
    await wait(slow ? 450 : 60);
    while (house.options.holdsReading && !live.stop) await wait(50); // until it is let go
  }
  const thoughts = !wish.begin && /pomyśl|think|rozważ/i.test(asked) ? reasoning[language] : '';
  const picked = /kod|code|python/i.test(asked) ? 1 : /opowie|story|wieczór/i.test(asked) ? 2 : 0;
  let body = wish.text ?? house.options.says ?? answers[language][picked];
  if (wish.begin) body = ` ${body}`;
  if (wish.goOn) body = language === 'pl' ? '\n\nA kiedy drwa się dopalą, zostaje żar, i to on grzeje najdłużej.' : '\n\nAnd when the logs are burnt, the embers stay, and they warm the longest.';
  if (/długo|long/i.test(asked)) body = Array.from({ length: /bardzo|very/i.test(asked) ? 300 : 12 }, () => body).join('\n\n');
  const queue = [...pieces(thoughts).map((text) => ['reasoning', text]), ...pieces(body).map((text) => ['text', text])];
  const goal = queue.length;
  run.write = { done: 0, tokens_per_s: 0, left_s: null };
  live.first = performance.now();
  let due = 0;
  let last = performance.now();
  let told = 0;
  while (queue.length > 0) {
    await wait(slow ? 100 : 50);
    if (live.stop) return end('stopped', 'stopped');
    due += ((performance.now() - last) / 1000) * house.options.rate;
    last = performance.now();
    let text = '';
    let kind = null;
    while (due >= 1 && queue.length > 0 && (kind === null || queue[0][0] === kind)) {
      kind = queue[0][0];
      text += queue.shift()[1];
      run.write.done++;
      due--;
    }
    if (kind === null) continue;
    let part = answer.parts.findIndex((p) => p.type === kind);
    if (part < 0) part = answer.parts.push(kind === 'text' ? { type: 'text', text: '' } : { type: 'reasoning', text: '', seconds: null }) - 1;
    answer.parts[part].text += text;
    answer.seq = house.emit('answer.piece', { part, kind, text }, thread.id, answer.id);
    const rate = run.write.done / ((performance.now() - live.first) / 1000);
    run.write = { done: run.write.done, tokens_per_s: rate, left_s: slow ? (goal - run.write.done) / house.options.rate : null };
    if (performance.now() - told > 500) {
      told = performance.now();
      tell(kind === 'reasoning' ? 'thinking' : 'speaking');
      house.setHearth(run.state, null, rate);
    }
    if (house.options.forgets && !run.forgotten_tokens && run.write.done >= house.options.forgets) { // a full context: a part goes, the rest is read again
      run.forgotten_tokens = 960;
      for (let done = 0; done < 3136 && !live.stop; done += 448) {
        if (done > 0) run.again = { done, total: 3136, tokens_per_s: 320, left_s: (3136 - done) / 320 };
        tell('reading');
        house.setHearth('reading', done / 3136);
        do await wait(50); while (house.options.holds && done === 1344 && !live.stop);
      }
      delete run.again;
      last = performance.now();
      tell('speaking');
    }
    if (house.failNext === 'middle' && run.write.done > 6) {
      house.failNext = null;
      return end('failed', 'failed', { code: 'engine.device_lost', message: 'the graphics card stopped answering' });
    }
  }
  end('done', 'stop');
}

export function stopRun(house, runId) {
  const live = house.runs.get(runId);
  if (!live) throw new Refusal(404, 'run.unknown', `no run ${runId}`);
  live.stop = true;
  return { ...live.run };
}
