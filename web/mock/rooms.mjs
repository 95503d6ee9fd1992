// Shelf, jobs, settings, presets, personas, compares, machine: the other routes of api.md.
import { newThread } from './conversations.mjs';
import { id, Refusal } from './house.mjs';
import { history, machine, memory, sample, suggestions } from './models.mjs';
import { newMessage, startRun, stopRun } from './runs.mjs';
import { presets, refusal, schema } from './settings.mjs';
import { answers, looksPolish } from './words.mjs';

function load(house, key) {
  const model = house.need(house.models, 'model', key);
  if (model.estimate?.verdict === 'no_fit') throw new Refusal(409, 'engine.no_room', 'it does not fit', { hint: '--kv-type q8_0' });
  for (const other of house.models) if (other.state === 'loaded') { other.state = 'ready'; house.changedModel(other); }
  model.state = 'loading';
  house.engine = { state: 'loading', model: null, n_ctx: null, vision: false };
  house.emit('engine.state', house.engine);
  const seconds = Math.min(6, Math.max(1, model.bytes / 4.2e9));
  const job = house.startJob('load', model.name, model.id, model.bytes, seconds, (j) => house.setHearth('loading', j.progress, null), () => {
    Object.assign(model, { state: 'loaded', job: null });
    house.engine = { state: 'ready', model: model.id, n_ctx: 8192, vision: model.vision };
    house.emit('engine.state', house.engine);
    house.changedModel(model);
    house.rest();
  });
  model.job = job.id;
  house.changedModel(model);
  return job;
}

/** An address nobody knew before: no card until the file is here, and how large it is shows while it comes. */
function downloadUnknown(house, name) {
  const file = name.split('/').pop().replace(/\.gguf$/i, '');
  const job = house.startJob('download', file, file, 0, 3, (j) => { j.total_bytes = j.progress > 0.3 ? 4e9 : 0; j.done_bytes = Math.round(4e9 * j.progress); j.left_s = j.progress > 0.6 ? 2 : null; }, () => {
    const model = { ...structuredClone(house.models.find((m) => m.id === 'smollm2')), id: file, name: file, state: 'ready', origin: 'shelf', removable: true, bytes: 4e9, languages: { pl: 'unknown' }, about: { pl: '', en: '' }, job: null };
    house.models.push(model);
    house.changedModel(model);
  });
  return job;
}

function download(house, name) {
  const model = house.models.find((m) => m.id === name) ?? (/^(https:|hf:).+\.gguf$/i.test(name) ? null : undefined);
  if (model === undefined) throw new Refusal(404, 'model.unknown', `no model ${name}`, { param: 'name' });
  if (!model) return downloadUnknown(house, name);
  model.state = 'downloading';
  const job = house.startJob('download', model.name, model.id, model.bytes, 3, null, () => {
    Object.assign(model, { state: 'ready', job: null, origin: 'shelf', removable: true, file: `/models/${model.id}.gguf` });
    house.changedModel(model);
  }, () => { Object.assign(model, { state: 'absent', job: null }); house.changedModel(model); });
  model.job = job.id;
  house.changedModel(model);
  return job;
}

const shown = (compare, house) => {
  const hide = compare.blind && !compare.revealed;
  return { ...compare, columns: compare.columns.map((c) => {
    const answer = c.message ? structuredClone(house.messages.get(c.message)) : null;
    if (hide && answer) Object.assign(answer, { actor: { kind: 'model', id: null, name: null }, answer: null });
    return { ...c, model: hide ? null : c.model, answer };
  }) };
};
const tellCompare = (house, compare) => house.emit('compare.changed', { ...shown(compare, house), columns: shown(compare, house).columns.map((c) => ({ ...c, answer: null })) }, compare.thread);

function ask(house, body) {
  if (!Array.isArray(body.columns) || body.columns.length < 2 || body.columns.length > 4) throw new Refusal(400, 'request.invalid', '2 to 4 columns', { param: 'columns', allowed: '2..4' });
  const thread = newThread(house, { hidden: true, title: body.question });
  const question = newMessage(house, thread, { parts: [{ type: 'text', text: body.question }] });
  const order = body.blind ? [...body.columns].sort(() => Math.random() - 0.5) : body.columns;
  const compare = { id: id('c'), thread: thread.id, question: body.question, system: body.system ?? null, blind: Boolean(body.blind), revealed: !body.blind, order: 'in_turn', state: 'running', created_ms: Date.now(), vote: null,
    columns: order.map((c, i) => ({ id: id('k'), label: 'ABCD'[i], model: c.model, persona: c.persona ?? null, sampling: c.sampling ?? {}, state: 'queued', message: null, pasted: false })) };
  house.compares.set(compare.id, compare);
  const language = looksPolish(body.question) ? 'pl' : 'en';
  const next = (i) => {
    const column = compare.columns[i];
    if (!column || compare.state !== 'running') { if (compare.state === 'running') compare.state = 'done'; return tellCompare(house, compare); }
    const model = house.need(house.models, 'model', column.model);
    const hide = compare.blind && !compare.revealed;
    const answer = newMessage(house, thread, { parent: question.id, role: 'assistant', actor: { kind: 'model', id: hide ? null : model.id, name: hide ? null : model.name } });
    column.message = answer.id;
    column.state = 'reading';
    startRun(house, thread, answer, { model: model.id, text: answers[language][i % 3], blind: () => compare.blind && !compare.revealed, ended: () => { column.state = answer.state; next(i + 1); } });
    tellCompare(house, compare);
  };
  next(0);
  return compare;
}

/** A set of questions, asked one after the other whoever looks. */
function askSeries(house, body) {
  if (house.series?.state === 'running') throw new Refusal(409, 'series.busy', 'another one is asked');
  const series = house.series = { id: id('q'), state: 'running', done: 0, all: body.questions.length, compare: null, error: null };
  const tell = () => house.emit('series.changed', { ...series });
  const next = () => {
    if (series.state !== 'running') return;
    if (series.done === series.all) { Object.assign(series, { state: 'done', compare: null }); tell(); return; }
    const compare = ask(house, { ...body, question: body.questions[series.done] });
    series.compare = compare.id;
    tell();
    const wait = setInterval(() => { if (compare.state === 'running') return; clearInterval(wait); series.done++; next(); }, 100);
    wait.unref?.();
  };
  next();
  return { ...series };
}

function table(house, format) {
  if (format === 'watra') return { type: 'application/x-ndjson', body: [...house.compares.values()].map((c) => JSON.stringify({ watra: 1, thread: house.threads.get(c.thread), compare: { ...c, thread: undefined }, messages: [...house.messages.values()].filter((m) => m.thread === c.thread) }) + '\n').join('') };
  const rows = [...house.compares.values()].flatMap((c) => shown(c, house).columns.map((k) => [c.question, k.label, k.model ?? '', k.answer?.answer?.model.quant ?? '', k.persona ?? '', JSON.stringify(k.sampling), k.answer?.answer?.seed ?? '', k.answer?.answer?.decode_tokens_per_s?.toFixed(1) ?? '', c.vote?.column === k.id ? c.vote.verdict : '', k.answer?.parts.map((p) => p.text).join('') ?? '']));
  const head = ['question', 'column', 'model', 'quant', 'persona', 'sampling', 'seed', 'tokens_per_s', 'vote', 'answer'];
  if (format === 'json') return { type: 'application/json', body: JSON.stringify(rows.map((r) => Object.fromEntries(head.map((h, i) => [h, r[i]])))) };
  if (format === 'md') return { type: 'text/markdown', body: [head, head.map(() => '--'), ...rows].map((r) => `| ${r.map((x) => String(x).replaceAll('\n', ' ')).join(' | ')} |`).join('\n') };
  return { type: 'text/csv', body: [head, ...rows].map((r) => r.map((x) => `"${String(x).replaceAll('"', '""')}"`).join(',')).join('\r\n') };
}

/** The time of a change; refused where what was read is no longer there. */
function stamp(kept, key, kind, body) {
  const before = kept.get(key)?.updated_ms ?? 0;
  if (body.if_updated_ms !== undefined && body.if_updated_ms !== null && body.if_updated_ms !== before) throw new Refusal(409, `${kind}.changed`, 'changed meanwhile');
  return Math.max(Date.now(), before + 1);
}

export const routes = [
  ['GET', '/models', ({ house }) => ({ models: [...house.models].sort((a, b) => Number(b.state === 'loaded') - Number(a.state === 'loaded')), folders: house.folders, as_of: house.seq })],
  ['GET', '/models/:id/estimate', ({ house, id: key, query }) => {
    const { estimate } = house.need(house.models, 'model', key);
    if (!estimate) throw new Refusal(409, 'machine.not_measured', 'nobody measured this machine yet, or this model is not known');
    return { ...estimate, n_ctx: Number(query.get('n_ctx') ?? 8192), kv_type: query.get('kv_type') ?? 'f16' };
  }],
  ['POST', '/models/:id/load', ({ house, id: key }) => ({ status: 202, json: load(house, key) })],
  ['POST', '/models/:id/unload', ({ house, id: key }) => {
    const model = house.need(house.models, 'model', key);
    return { status: 202, json: house.startJob('unload', model.name, key, model.bytes, 0.5, null, () => { model.state = 'ready'; house.engine = { state: 'empty', model: null, n_ctx: null, vision: false }; house.emit('engine.state', house.engine); house.changedModel(model); house.rest(); }) };
  }],
  ['DELETE', '/models/:id', ({ house, id: key }) => { const m = house.need(house.models, 'model', key); if (!m.removable) throw new Refusal(409, 'model.not_ours', 'not downloaded by Watra'); Object.assign(m, { state: 'absent', origin: 'catalog', removable: false, file: null }); house.changedModel(m); }],
  ['POST', '/downloads', ({ house, body }) => ({ status: 202, json: download(house, String(body.name ?? '')) })],
  ['GET', '/folders/suggestions', () => ({ suggestions: suggestions() })],
  ['POST', '/folders', ({ house, body }) => { if (!body.path || /nie ma|missing/.test(body.path)) throw new Refusal(400, 'request.invalid', 'no such folder', { param: 'path' }); const f = { id: id('f'), path: body.path, n_models: 3, bytes: 24e9 }; house.folders.push(f); return { status: 201, json: f }; }],
  ['DELETE', '/folders/:id', ({ house, id: key }) => { house.folders = house.folders.filter((f) => f.id !== key); }],
  ['GET', '/jobs', ({ house }) => ({ jobs: house.jobs.slice(0, 50), as_of: house.seq })],
  ['POST', '/jobs/:id/cancel', ({ house, id: key }) => {
    const job = house.need(house.jobs, 'job', key);
    Object.assign(job, { state: 'cancelled', ended_ms: Date.now() });
    const model = house.models.find((m) => m.job === key);
    if (model) { Object.assign(model, { job: null, state: job.kind === 'download' ? 'absent' : 'ready' }); house.changedModel(model); }
    house.emit('job.changed', { ...job });
    return { status: 202, json: job };
  }],
  ['GET', '/settings/schema', () => schema],
  ['GET', '/settings', ({ house }) => ({ values: house.settings, as_of: house.seq })],
  ['PATCH', '/settings', ({ house, body }) => {
    for (const [key, value] of Object.entries(body)) { const why = refusal(key, value); if (why) throw new Refusal(400, 'request.invalid', `${key}: ${why}`, { param: key, allowed: why }); }
    if (body['house.persona']) house.need(house.personas, 'persona', body['house.persona']);
    for (const [key, value] of Object.entries(body)) house.settings[key] = value ?? schema.settings.find((s) => s.key === key).default;
    house.emit('engine.settings', { values: Object.fromEntries(Object.keys(body).map((k) => [k, house.settings[k]])) });
    return { values: house.settings };
  }],
  ['GET', '/presets', ({ house }) => ({ presets: [...presets(), ...house.presets.values()] })],
  ['PUT', '/presets/:id', ({ house, id: key, body }) => { const p = { id: key, name: body.name, sampling: body.sampling, builtin: false, updated_ms: stamp(house.presets, key, 'preset', body) }; house.presets.set(key, p); house.emit('preset.changed', { id: key, updated_ms: p.updated_ms }); return p; }],
  ['DELETE', '/presets/:id', ({ house, id: key }) => { if (presets().some((p) => p.id === key)) throw new Refusal(409, 'preset.builtin', 'built in'); house.presets.delete(key); house.emit('preset.changed', { id: key, updated_ms: null }); }],
  ['GET', '/personas', ({ house }) => ({ personas: [...house.personas.values()] })],
  ['PUT', '/personas/:id', ({ house, id: key, body }) => { const p = { id: key, name: body.name, text: body.text, updated_ms: stamp(house.personas, key, 'persona', body) }; house.personas.set(key, p); house.emit('persona.changed', { id: key, updated_ms: p.updated_ms }); return p; }],
  ['DELETE', '/personas/:id', ({ house, id: key }) => { house.need(house.personas, 'persona', key); house.personas.delete(key); for (const thread of house.threads.values()) if (thread.persona === key) { thread.persona = null; house.emit('thread.changed', { ...thread }, thread.id); } if (house.settings['house.persona'] === key) { house.settings['house.persona'] = ''; house.emit('engine.settings', { values: { 'house.persona': '' } }); } house.emit('persona.changed', { id: key, updated_ms: null }); }],
  ['GET', '/phrases', ({ house }) => ({ phrases: [...house.phrases.values()].sort((a, b) => (a.name < b.name ? -1 : 1)) })],
  ['PUT', '/phrases/:id', ({ house, id: key, body }) => {
    for (const [field, most] of [['name', 80], ['text', 65536]]) if (typeof body[field] !== 'string' || body[field] === '' || body[field].length > most) throw new Refusal(400, 'request.invalid', `${field}: needs a text of 1 to ${most} characters`, { param: field, allowed: `a text of 1 to ${most} characters` });
    const p = { id: key, name: body.name, text: body.text, updated_ms: stamp(house.phrases, key, 'phrase', body) };
    house.phrases.set(key, p);
    house.emit('phrase.changed', { id: key, updated_ms: p.updated_ms });
    return p;
  }],
  ['DELETE', '/phrases/:id', ({ house, id: key }) => { house.need(house.phrases, 'phrase', key); house.phrases.delete(key); house.emit('phrase.changed', { id: key, updated_ms: null }); }],
  ['POST', '/compares', ({ house, body }) => ({ status: 202, json: shown(house.once(body.client_id, () => ask(house, body)), house) })],
  ['GET', '/compares', ({ house }) => ({ compares: [...house.compares.values()].reverse().map((c) => shown(c, house)), more: false, as_of: house.seq })],
  ['GET', '/compares/export', ({ house, query }) => table(house, query.get('format'))],
  ['GET', '/compares/:id', ({ house, id: key }) => ({ compare: shown(house.need(house.compares, 'compare', key), house), as_of: house.seq })],
  ['DELETE', '/compares/:id', ({ house, id: key }) => { house.need(house.compares, 'compare', key); house.compares.delete(key); }],
  ['POST', '/compares/:id/columns', ({ house, id: key, body }) => {
    const compare = house.need(house.compares, 'compare', key);
    const thread = house.threads.get(compare.thread);
    const question = [...house.messages.values()].find((m) => m.thread === thread.id);
    const m = newMessage(house, thread, { parent: question.id, role: 'assistant', actor: { kind: 'model', id: null, name: body.name }, source: 'pasted', parts: [{ type: 'text', text: body.text }] });
    compare.columns.push({ id: id('k'), label: 'ABCDEF'[compare.columns.length], model: null, persona: null, sampling: {}, state: 'done', message: m.id, pasted: true });
    tellCompare(house, compare);
    return shown(compare, house);
  }],
  ['POST', '/compares/:id/vote', ({ house, id: key, body }) => { const c = house.need(house.compares, 'compare', key); c.vote = { column: body.column ?? null, verdict: body.verdict }; c.revealed = true; tellCompare(house, c); return shown(c, house); }],
  ['POST', '/compares/:id/keep', ({ house, id: key, body }) => {
    const c = house.need(house.compares, 'compare', key);
    const column = house.need(c.columns, 'compare', body.column);
    const thread = newThread(house, { title: c.question.slice(0, 60), model: column.model });
    const q = newMessage(house, thread, { parts: [{ type: 'text', text: c.question }] });
    const answer = house.messages.get(column.message);
    thread.head = newMessage(house, thread, { ...structuredClone(answer), id: id('m'), log: ++house.log, thread: thread.id, parent: q.id, origin: answer.id }).id;
    house.emit('thread.changed', { ...thread });
    return { status: 201, json: thread };
  }],
  ['POST', '/compares/:id/stop', ({ house, id: key }) => { const c = house.need(house.compares, 'compare', key); c.state = 'stopped'; for (const [runId, live] of house.runs) if (live.run.thread === c.thread) stopRun(house, runId); return { status: 202, json: shown(c, house) }; }],
  ['POST', '/series', ({ house, body }) => ({ status: 202, json: house.once(body.client_id, () => askSeries(house, body)) })],
  ['GET', '/series', ({ house }) => ({ series: house.series ?? null, as_of: house.seq })],
  ['POST', '/series/:id/stop', ({ house }) => { if (!house.series) throw new Refusal(404, 'series.unknown', 'no series'); if (house.series.state === 'running') house.series.state = 'stopped'; house.emit('series.changed', { ...house.series }); return { status: 202, json: { ...house.series } }; }],
  ['GET', '/sets', ({ house }) => ({ sets: [...house.sets.values()] })],
  ['PUT', '/sets/:id', ({ house, id: key, body }) => { const s = { id: key, name: body.name, questions: body.questions, updated_ms: stamp(house.sets, key, 'set', body) }; house.sets.set(key, s); house.emit('set.changed', { id: key, updated_ms: s.updated_ms }); return s; }],
  ['DELETE', '/sets/:id', ({ house, id: key }) => { house.need(house.sets, 'set', key); house.sets.delete(key); house.emit('set.changed', { id: key, updated_ms: null }); }],
  ['GET', '/machine', ({ house }) => (house.measured ? machine() : { ...machine(), measured: false, ram: { ...machine().ram, gb_s: 0 } })],
  ['POST', '/machine/measure', ({ house }) => ({ status: 202, json: house.startJob('measure', 'machine', null, 1, 2, null, () => { house.measured = true; for (const model of house.models) { model.estimate ??= house.estimates.get(model.id); house.changedModel(model); } }) })],
  ['GET', '/machine/now', ({ house, query }) => {
    const since = Number(query.get('since') ?? 0);
    history(0);
    sample(Date.now(), house.runs.size > 0);
    const samples = history(since).map((s) => (house.options.coy ? { ...s, celsius: { cpu: null, gpu: null } } : s)); // some machines do not tell
    return { samples, since_ms: history(0)[0]?.at_ms ?? Date.now(), memory: house.memoryRows ?? memory(), queue: [...house.runs.values()].map((l) => ({ run: l.run.id, class: 'person', state: l.run.state, thread: l.run.thread, n_prompt: l.run.read?.total ?? 0, n_generated: l.run.write?.done ?? 0 })) };
  }],
];
