// The mock server: /watra/v1 as docs/api.md has it, over what `vite build` made (or alone, behind vite's proxy), with the house's CSP.
// Control for tests: POST /mock {rate?, fail?: "run"|"middle", drop?: true}. startMock(options) gives {url, house, close}.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

import { newThread, routes as conversationRoutes } from './conversations.mjs';
import { House, Refusal, id } from './house.mjs';
import { routes as roomRoutes } from './rooms.mjs';
import { newMessage } from './runs.mjs';
import { answers } from './words.mjs';

const DIST = process.env.WATRA_DIST ? join(process.env.WATRA_DIST, '/') : fileURLToPath(new URL('../dist/', import.meta.url));
export const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; worker-src 'self'; img-src 'self' blob:; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2', '.json': 'application/json' };

const table = [...conversationRoutes, ...roomRoutes].map(([method, path, handler]) => ({ method, handler, pattern: new RegExp('^' + path.replace(/:id/g, '([^/]+)') + '$') }));

function openDoor(house, method, path, body, request, response) {
  if (path !== '/session' || method !== 'POST') return false;
  const right = (body.code && body.code === house.options.code) || (body.password && body.password === house.options.password);
  if (!right) throw new Refusal(401, 'session.wrong', 'wrong');
  const session = id('s');
  house.sessions.add(session);
  response.setHeader('Set-Cookie', `watra_${request.socket.localPort}=${session}; HttpOnly; SameSite=Strict; Path=/`);
  send(response, 200, { ok: true });
  return true;
}

function known(house, request) {
  if (!house.options.password) return true;
  const cookie = /watra_\d+=([^;]+)/.exec(request.headers.cookie ?? '')?.[1];
  return cookie !== undefined && house.sessions.has(cookie);
}

function send(response, status, json) {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(status === 204 || json === undefined ? '' : JSON.stringify(json));
}

function handle(house, request, response, url, raw) {
  const path = url.pathname.slice('/watra/v1'.length);
  const method = request.method;
  const isJson = (request.headers['content-type'] ?? '').includes('json');
  const body = isJson && raw.length > 0 ? JSON.parse(raw.toString()) : {};
  if (method !== 'GET' && request.headers['x-watra'] !== '1') throw new Refusal(403, 'origin.foreign', 'X-Watra is missing');
  if (openDoor(house, method, path, body, request, response)) return;
  if (!known(house, request)) { send(response, 401, { error: { code: 'session.needed', message: 'come in first' }, password: true }); return; }
  if (path === '/session') { if (method === 'DELETE') { house.sessions.clear(); return send(response, 204); } return send(response, 200, { id: 's', since_ms: Date.now(), device: 'mock', password: Boolean(house.options.password), sessions: house.sessions.size }); }
  if (path === '/sessions') { house.sessions.clear(); return send(response, 204); }
  if (path === '/password') { house.options.password = body.password; return send(response, 204); }
  if (path === '/house') return send(response, 200, { version: '0.1.0', first_start: !house.settings['house.first_start_done'], door: { lan: false, tls: false, password: Boolean(house.options.password) }, engine: house.engine, settings: house.settings, as_of: house.seq });
  if (path === '/events') { const after = url.searchParams.get('after') ?? request.headers['last-event-id'] ?? null; return house.attach(response, after === null ? null : Number(after)); }
  for (const { method: m, pattern, handler } of table) {
    const found = m === method && pattern.exec(path);
    if (!found) continue;
    const result = handler({ house, id: found[1] && decodeURIComponent(found[1]), query: url.searchParams, body, raw, headers: request.headers });
    if (result?.body !== undefined) { response.writeHead(200, { 'Content-Type': result.type }); return response.end(result.body); }
    if (result?.json) return send(response, result.status, result.json);
    return send(response, result === undefined ? 204 : 200, result);
  }
  throw new Refusal(404, 'route.unknown', `no route ${path}`);
}

async function serveStatic(house, url, response) {
  const name = url.pathname === '/' ? 'index.html' : normalize(url.pathname).slice(1);
  let bytes;
  try { bytes = await readFile(join(DIST, name)); } catch { throw new Refusal(404, 'route.unknown', `no file ${name}`); }
  if (name === 'index.html') {
    const s = house.settings;
    bytes = bytes.toString().replace(/<html[^>]*>/, `<html lang="${s['look.language'] ?? 'pl'}" data-theme="${s['look.theme']}" data-motion="${s['look.motion']}">`);
  }
  response.writeHead(200, { 'Content-Type': TYPES[extname(name)] ?? 'application/octet-stream', 'Content-Security-Policy': CSP, 'X-Content-Type-Options': 'nosniff' });
  response.end(bytes);
}

function control(house, body) {
  if (body.rate) house.options.rate = body.rate;
  if (body.fail) house.failNext = body.fail;
  if (body.drop) for (const stream of house.streams) stream.destroy();
}

/** A few conversations to live with; `big` adds one of 5,000 messages. */
function furnish(house) {
  if (house.options.firstStart || house.threads.size > 0) return;
  const lines = [['Jak rozpalić watrę', 'Jak rozpalić watrę na deszczu?', 0], ['Skrypt do kopii zdjęć', 'Napisz kod w Pythonie, który dokłada do ognia', 1], ['Opowieść na dobranoc', 'Opowiedz coś spokojnego o wieczorze w Łodzi i na hali', 2]];
  lines.forEach(([title, question, i], age) => {
    const thread = newThread(house, { title, named: true, pinned: age === 0 });
    const q = newMessage(house, thread, { parts: [{ type: 'text', text: question }] });
    const model = house.models[0];
    const a = newMessage(house, thread, { parent: q.id, role: 'assistant', actor: { kind: 'model', id: model.id, name: model.name }, parts: [{ type: 'text', text: answers.pl[i] }] });
    a.answer = { model: { id: model.id, name: model.name, sha256: model.sha256, quant: model.quant, template: 'chatml' }, persona: null, sampling: { temperature: 0.8 }, seed: 41, prompt_hash: 'ab12', n_prompt: 61, n_cached: 12, n_generated: 214, ttft_ms: 184, prefill_tokens_per_s: 940, decode_tokens_per_s: 76.2, predicted_tokens_per_s: 78.4, seconds: 3, finish_reason: 'stop', tau: 2.4, context: { n_ctx: 8192, used_tokens: 1290, reserve_tokens: 1024, sees_from: q.id }, memory_bytes: 8.8e9 };
    thread.head = a.id;
    thread.updated_ms -= age * 26 * 3600_000;
    q.at_ms = a.at_ms = thread.updated_ms;
  });
  if (!house.options.big) return;
  const thread = newThread(house, { title: 'Zima na hali, pięć tysięcy słów', named: true });
  let parent = null;
  for (let i = 0; i < 5000; i++) parent = newMessage(house, thread, i % 2 === 0 ? { parent, parts: [{ type: 'text', text: `Pytanie numer ${i / 2 + 1}: co dziś słychać?` }] } : { parent, role: 'assistant', actor: { kind: 'model', id: 'x', name: 'Bielik 11B v3' }, parts: [{ type: 'text', text: answers.pl[i % 3] }] }).id;
  thread.head = parent;
}

export async function startMock({ port = 0, ...options } = {}) {
  const house = new House(options);
  furnish(house);
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://mock');
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const raw = Buffer.concat(chunks);
    try {
      if (url.pathname === '/mock') { control(house, JSON.parse(raw.toString())); send(response, 204); }
      else if (url.pathname.startsWith('/watra/v1/')) handle(house, request, response, url, raw);
      else await serveStatic(house, url, response);
    } catch (error) {
      if (!(error instanceof Refusal)) console.error(error);
      const known = error instanceof Refusal;
      send(response, known ? error.status : 500, { error: known ? error.error : { code: 'mock.broken', message: String(error) } });
    }
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, house, close: () => { for (const s of house.streams) s.destroy(); server.closeAllConnections(); server.close(); } };
}
