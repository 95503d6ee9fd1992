// Threads, messages, turns, search, prompt inspector, export: the routes of api.md section 6.
import { id, Refusal } from './house.mjs';
import { contextOf, newMessage, startRun, stopRun } from './runs.mjs';
import { fold } from './words.mjs';

const words = (m) => m.parts.filter((p) => p.type === 'text').map((p) => p.text).join('');
const ofThread = (house, threadId) => [...house.messages.values()].filter((m) => m.thread === threadId);

export function newThread(house, fields = {}) {
  const now = Date.now();
  const thread = { id: id('t'), title: '', named: false, pinned: false, archived: false, folder: null, tags: [], created_ms: now, updated_ms: now, n_messages: 0, head: null, model: null, persona: null, system: null, sampling: {}, draft: null, run: null, origin: null, ...fields };
  house.threads.set(thread.id, thread);
  return thread;
}

export function path(house, head) {
  const list = [];
  for (let at = house.messages.get(head); at; at = house.messages.get(at.parent)) list.unshift(at);
  return list;
}

function turn(house, threadId, body) {
  const thread = house.need(house.threads, 'thread', threadId);
  return house.once(body.client_id, () => {
    if (!house.engine.model && !body.model) throw new Refusal(409, 'engine.empty', 'no model is loaded', { hint: 'load one on the shelf' });
    if (body.model) house.need(house.models, 'model', body.model);
    if (thread.run) throw new Refusal(409, 'thread.busy', 'an answer is under way', { hint: thread.run });
    const t = body.sampling?.temperature;
    if (t !== undefined && !(t >= 0 && t <= 5)) throw new Refusal(400, 'request.invalid', 'temperature out of range', { param: 'sampling.temperature', allowed: '0..5' });
    let said = null;
    let answer;
    if (body.continue) {
      answer = house.need(house.messages, 'message', body.continue);
    } else {
      if (body.parent) house.need(house.messages, 'message', body.parent);
      if (body.parts) {
        said = newMessage(house, thread, { parent: body.parent ?? null, parts: body.parts, ref: body.ref ?? null });
        if (!thread.title) thread.title = (words(said) || '…').replace(/\s+/g, ' ').trim().replace(/^(?=.{61})(.{1,60})\s.*$/u, '$1…');
        house.emit('thread.message', structuredClone(said), thread.id, said.id);
      }
      const model = house.models.find((m) => m.id === (body.model ?? house.engine.model));
      answer = newMessage(house, thread, { parent: said?.id ?? body.parent, role: 'assistant', actor: { kind: 'model', id: model.id, name: model.name }, state: 'running', parts: body.begin ? [{ type: 'text', text: body.begin }] : [] });
      if (body.begin) begun.set(answer.id, body.begin);
    }
    thread.head = answer.id;
    if (isSaid(thread.draft, body.parts)) thread.draft = null; // what else is being written stays
    const run = startRun(house, thread, answer, { ...body, goOn: Boolean(body.continue) });
    house.emit('thread.changed', { ...thread });
    return structuredClone({ message: said, answer, run, as_of: house.seq });
  });
}

/** Whether a draft is what these parts say: the same words and the same files. */
function isSaid(draft, parts) {
  if (!draft || !parts) return false;
  const files = (list) => list.flatMap((part) => part.hash ?? []).join();
  return parts.map((part) => (part.type === 'text' ? part.text : '')).join('').trim() === draft.text.trim() && files(parts) === files(draft.parts);
}

/** How many messages went with it. */
function eraseThread(house, key) {
  const gone = ofThread(house, key);
  for (const m of gone) house.messages.delete(m.id);
  house.threads.delete(key);
  house.emit('thread.removed', {}, key);
  return gone.length;
}

/** The first words of answers that were given them. */
const begun = new Map();

function rewrite(house, messageId, text) {
  const old = house.need(house.messages, 'message', messageId);
  if (old.role !== 'assistant' || old.state === 'erased') throw new Refusal(400, 'request.invalid', 'id: needs an answer that has words', { param: 'id' });
  const thread = house.threads.get(old.thread);
  if (thread.run) throw new Refusal(409, 'thread.busy', 'an answer is under way', { hint: thread.run });
  const mine = newMessage(house, thread, { parent: old.parent, role: 'assistant', actor: old.actor, parts: [...old.parts.filter((part) => part.type !== 'text'), { type: 'text', text }], source: 'edited', origin: old.id });
  thread.head = mine.id;
  house.emit('thread.message', structuredClone(mine), thread.id, mine.id);
  house.emit('thread.changed', { ...thread });
  return structuredClone(mine);
}

function search(house, query) {
  const q = query.get('q') ?? '';
  if (q.length < 1 || q.length > 200) throw new Refusal(400, 'request.invalid', 'q is 1..200 characters', { param: 'q', allowed: '1..200' });
  const needle = fold(q.replaceAll('"', ''));
  const limit = Number(query.get('limit') ?? 40);
  const hits = [];
  const all = [...house.messages.values()].sort((a, b) => b.at_ms - a.at_ms || (b.id > a.id ? 1 : -1));
  const first = query.has('before') ? all.findIndex((m) => m.id === query.get('before_id')) + 1 : 0;
  let more = false;
  for (const m of all.slice(first)) {
    const text = words(m);
    const at = fold(text).indexOf(needle);
    const thread = house.threads.get(m.thread);
    if (at < 0 || !thread || thread.hidden) continue;
    if (hits.length >= limit) { more = true; break; }
    const from = Math.max(0, at - 60);
    const versions = [...house.messages.values()].filter((other) => other.thread === m.thread && other.parent === m.parent);
    hits.push({ thread: m.thread, title: thread.title, message: m.id, role: m.role, at_ms: m.at_ms, snippet: [{ text: (from > 0 ? '…' : '') + text.slice(from, at), hit: false }, { text: text.slice(at, at + needle.length), hit: true }, { text: text.slice(at + needle.length, at + needle.length + 120), hit: false }], ...(versions.length > 1 ? { version: { at: versions.indexOf(m) + 1, of: versions.length } } : {}) });
  }
  return { hits, more, ms: 3 };
}

function prompt(house, messageId) {
  const message = house.need(house.messages, 'message', messageId);
  const thread = house.threads.get(message.thread);
  const span = (kind, what, text, more = {}) => ({ kind, what, role: null, message: null, why: null, score: null, n_tokens: Math.max(1, Math.ceil(text.length / 3.4)), cached: true, text, ...more });
  const spans = [];
  if (thread.system) spans.push(span('template', 'system', '<|im_start|>system\n'), span('content', 'system', thread.system, { role: 'system', why: 'system' }), span('template', 'system', '<|im_end|>\n'));
  const turns = path(house, message.parent).slice(-8);
  for (const m of turns) spans.push(span('template', 'turn', `<|im_start|>${m.role}\n`), span('content', 'turn', words(m), { role: m.role, message: m.id, why: 'recent', cached: m !== turns.at(-1) }), span('template', 'turn', '<|im_end|>\n'));
  spans.push(span('template', 'generation', '<|im_start|>assistant\n', { cached: false }));
  if (begun.has(messageId)) spans.push(span('content', 'turn', begun.get(messageId), { role: 'assistant', message: messageId, why: 'begun', cached: false }));
  const dropped = path(house, message.parent).slice(0, -8).map((m) => ({ message: m.id, n_tokens: 40, why: 'no_room' }));
  const n = spans.reduce((sum, s) => sum + s.n_tokens, 0);
  return { model: house.engine.model ?? '', template: 'chatml', n_tokens: n, n_ctx: house.engine.n_ctx ?? 8192, n_cached: spans.filter((s) => s.cached).reduce((sum, s) => sum + s.n_tokens, 0), spans, dropped, sampling: message.answer?.sampling ?? {}, seed: message.answer?.seed ?? 0 };
}

function fork(house, threadId, body) {
  const from = house.need(house.threads, 'thread', threadId);
  house.need(house.messages, 'message', body.at);
  return house.once(body.client_id, () => {
    const thread = newThread(house, { title: from.title, named: from.named, system: from.system, sampling: from.sampling, origin: { thread: from.id, message: body.at } });
    let parent = null;
    for (const m of path(house, body.at)) parent = newMessage(house, thread, { ...structuredClone(m), id: id('m'), thread: thread.id, parent, origin: m.id, log: ++house.log }).id;
    thread.head = parent;
    house.emit('thread.changed', { ...thread });
    return thread;
  });
}

function exported(house, threadId, format) {
  const thread = house.need(house.threads, 'thread', threadId);
  if (format === 'json') return { type: 'application/json', body: JSON.stringify({ watra: 1, thread, messages: ofThread(house, threadId) }, null, 1) };
  return { type: 'text/markdown; charset=utf-8', body: `# ${thread.title}\n\n` + path(house, thread.head).map((m) => `**${m.actor.name ?? m.role}**\n\n${words(m)}\n`).join('\n') };
}

const patchable = ['title', 'pinned', 'archived', 'folder', 'tags', 'head', 'model', 'persona', 'system', 'sampling', 'draft'];

export const routes = [
  ['GET', '/threads', ({ house, query }) => {
    const limit = Number(query.get('limit') ?? 100);
    const archived = query.get('archived') === 'true';
    const all = [...house.threads.values()].filter((t) => !t.hidden && t.archived === archived).sort((a, b) => Number(b.pinned) - Number(a.pinned) || b.updated_ms - a.updated_ms || (b.id > a.id ? 1 : -1));
    const from = all.findIndex((t) => t.id === query.get('before_id')) + 1;
    return { threads: all.slice(from, from + limit), more: all.length > from + limit, as_of: house.seq };
  }],
  ['POST', '/threads', ({ house, body }) => house.once(body.client_id, () => { const t = newThread(house, { title: body.title ?? '', model: body.model ?? null, persona: body.persona === undefined ? house.settings['house.persona'] || null : body.persona }); house.emit('thread.changed', { ...t }); return { status: 201, json: t }; })],
  ['PATCH', '/threads', ({ house, body }) => {
    const all = body.ids.map((key) => house.need(house.threads, 'thread', key));
    for (const thread of all) {
      for (const name of ['archived', 'pinned', 'folder']) if (name in body) thread[name] = body[name];
      thread.tags = [...new Set([...thread.tags, ...(body.add_tags ?? [])])].filter((tag) => !(body.remove_tags ?? []).includes(tag));
      house.emit('thread.changed', { ...thread });
    }
    return { threads: all };
  }],
  ['POST', '/threads/erase', ({ house, body }) => {
    const all = body.ids.map((key) => house.need(house.threads, 'thread', key));
    const busy = all.find((thread) => thread.run);
    if (busy) throw new Refusal(409, 'thread.busy', 'an answer is under way', { hint: busy.run });
    return { erased: all.reduce((n, thread) => n + eraseThread(house, thread.id), 0), receipt: id('x') };
  }],
  ['GET', '/threads/:id', ({ house, id: key }) => ({ thread: house.need(house.threads, 'thread', key), as_of: house.seq })],
  ['PATCH', '/threads/:id', ({ house, id: key, body }) => {
    const thread = house.need(house.threads, 'thread', key);
    for (const name of patchable) if (name in body) thread[name] = body[name];
    if ('title' in body) thread.named = true;
    house.emit('thread.changed', { ...thread });
    return thread;
  }],
  ['DELETE', '/threads/:id', ({ house, id: key }) => {
    const { run } = house.need(house.threads, 'thread', key);
    if (run) throw new Refusal(409, 'thread.busy', 'an answer is under way', { hint: run });
    return { erased: eraseThread(house, key), receipt: id('x') };
  }],
  ['GET', '/threads/:id/messages', ({ house, id: key, query }) => {
    house.need(house.threads, 'thread', key);
    const limit = Number(query.get('limit') ?? 500);
    const before = Number(query.get('before') ?? Infinity);
    const all = ofThread(house, key).filter((m) => m.log < before);
    return { messages: all.slice(-limit), more: all.length > limit, as_of: house.seq };
  }],
  ['POST', '/threads/:id/fork', ({ house, id: key, body }) => ({ status: 201, json: fork(house, key, body) })],
  ['GET', '/threads/:id/context', ({ house, id: key, query }) => contextOf(house, house.need(house.threads, 'thread', key), query.get('head'))],
  ['POST', '/threads/:id/turns', ({ house, id: key, body }) => ({ status: 202, json: turn(house, key, body) })],
  ['GET', '/threads/:id/export', ({ house, id: key, query }) => exported(house, key, query.get('format'))],
  ['GET', '/messages/:id', ({ house, id: key }) => house.need(house.messages, 'message', key)],
  ['PATCH', '/messages/:id', ({ house, id: key, body }) => { const m = house.need(house.messages, 'message', key); m.pinned = Boolean(body.pinned); house.emit('thread.message', structuredClone(m), m.thread, m.id); return m; }],
  ['POST', '/messages/:id/versions', ({ house, id: key, body }) => ({ status: 201, json: house.once(body.client_id, () => rewrite(house, key, body.text)) })],
  ['DELETE', '/messages/:id', ({ house, id: key }) => { const m = house.need(house.messages, 'message', key); Object.assign(m, { state: 'erased', parts: [] }); house.emit('thread.message', structuredClone(m), m.thread, m.id); return { erased: 1, receipt: id('x') }; }],
  ['GET', '/messages/:id/prompt', ({ house, id: key }) => prompt(house, key)],
  ['GET', '/runs', ({ house }) => ({ runs: [...house.runs.values()].map((l) => l.run), as_of: house.seq })],
  ['POST', '/runs/:id/stop', ({ house, id: key }) => ({ status: 202, json: stopRun(house, key) })],
  ['GET', '/search', ({ house, query }) => search(house, query)],
  ['GET', '/export', ({ house }) => ({ type: 'application/zip', body: JSON.stringify([...house.threads.values()]) })],
  ['POST', '/import', ({ house, query }) => ({ status: 202, json: house.startJob('import', 'import', null, 4e6, 1, null, (job) => { job.result = { import: id('i'), format: 'chatgpt', threads: 214, messages: 18342, skipped: 3, problems: [{ where: 'conversations.json, 17', what: 'no words' }], dry: query.get('dry') === 'true' }; }) })],
  ['DELETE', '/imports/:id', () => ({ erased: 18342 })],
  ['POST', '/attachments', ({ house, raw, headers }) => {
    const hash = id('h');
    const mime = headers['content-type'] ?? 'application/octet-stream';
    house.attachments.set(hash, { raw, mime });
    return { status: 201, json: { hash, name: decodeURIComponent(headers['x-watra-name'] ?? 'file'), mime, bytes: raw.length, n_tokens: mime.startsWith('text/') ? Math.ceil(raw.length / 3.4) : null } };
  }],
  ['GET', '/attachments/:id', ({ house, id: key }) => { const a = house.need(house.attachments, 'attachment', key); return { type: a.mime, body: a.raw }; }],
];
