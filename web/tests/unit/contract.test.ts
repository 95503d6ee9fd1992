// @vitest-environment node
// The mock is held to docs/openapi.json: every answer it gives has the described shape. The C++ server takes the same test as its own.
import { readFileSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

// @ts-expect-error the mock is plain JavaScript
import { startMock } from '../../mock/server.mjs';

type Json = Record<string, unknown>;
const api = JSON.parse(readFileSync('../docs/openapi.json', 'utf8')) as { paths: Record<string, Record<string, Json>>; components: { schemas: Record<string, Json> } };

/** The first place where `value` is not what `schema` says, or null. The part of JSON Schema that openapi.json uses. */
function fault(value: unknown, schema: Json, at = '$'): string | null {
  if ('$ref' in schema) return fault(value, api.components.schemas[String(schema['$ref']).split('/').pop() ?? ''] ?? {}, at);
  if (Array.isArray(schema['oneOf'])) return (schema['oneOf'] as Json[]).some((s) => fault(value, s, at) === null) ? null : `${at}: none of oneOf: ${JSON.stringify(value)?.slice(0, 120)}`;
  if (Array.isArray(schema['enum']) && !schema['enum'].includes(value)) return `${at}: ${JSON.stringify(value)} not in ${JSON.stringify(schema['enum'])}`;
  const types = schema['type'] === undefined ? null : [schema['type']].flat();
  const kind = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value === 'number' ? (Number.isInteger(value) ? 'integer' : 'number') : typeof value;
  if (types && !types.includes(kind) && !(kind === 'integer' && types.includes('number'))) return `${at}: ${kind}, wanted ${types.join('|')}`;
  if (typeof value === 'number' && ((schema['minimum'] as number) > value || (schema['maximum'] as number) < value)) return `${at}: ${value} out of range`;
  if (Array.isArray(value) && schema['items']) for (const [i, item] of value.entries()) { const found = fault(item, schema['items'] as Json, `${at}[${i}]`); if (found) return found; }
  if (kind === 'object') {
    const object = value as Json;
    for (const name of (schema['required'] as string[] | undefined) ?? []) if (!(name in object)) return `${at}.${name}: missing`;
    for (const [name, inner] of Object.entries((schema['properties'] as Record<string, Json> | undefined) ?? {})) if (name in object) { const found = fault(object[name], inner, `${at}.${name}`); if (found) return found; }
  }
  return null;
}

let mock: { url: string; close: () => void };
beforeAll(async () => { mock = await startMock({ rate: 500 }); });
afterAll(() => mock.close());

async function call(method: string, template: string, ids: Record<string, string> = {}, body?: unknown, query = ''): Promise<Json> {
  const path = template.replace(/\{(\w+)\}/g, (_all, name: string) => ids[name] ?? '');
  const response = await fetch(`${mock.url}/watra/v1${path}${query}`, { method, headers: { 'X-Watra': '1', ...(body ? { 'Content-Type': 'application/json' } : {}) }, ...(body ? { body: JSON.stringify(body) } : {}) });
  const operation = api.paths[template]?.[method.toLowerCase()] as { responses: Record<string, { content?: Record<string, { schema: Json }> }> } | undefined;
  expect(operation, `${method} ${template} is described`).toBeDefined();
  const said = operation!.responses[String(response.status)];
  expect(said, `${method} ${path} gave ${response.status}`).toBeDefined();
  const json = response.status === 204 ? {} : ((await response.json()) as Json);
  const schema = said?.content?.['application/json']?.schema;
  if (schema) expect(fault(json, schema), `${method} ${path}`).toBeNull();
  return json;
}

describe('the contract', () => {
  it('every state the page asks for has its shape', async () => {
    for (const path of ['/session', '/house', '/models', '/folders/suggestions', '/jobs', '/threads', '/runs', '/personas', '/phrases', '/settings/schema', '/settings', '/presets', '/compares', '/series', '/sets', '/machine', '/machine/now']) await call('GET', path);
    await call('GET', '/search', {}, undefined, '?q=lodz');
    await call('GET', '/models/{id}/estimate', { id: 'smollm2' }, undefined, '?n_ctx=4096');
  });
  it('a turn: said, streamed, ended, looked into, forked', async () => {
    const thread = await call('POST', '/threads', {}, { client_id: 'a' });
    const id = String(thread['id']);
    const turn = await call('POST', '/threads/{id}/turns', { id }, { client_id: 'b', parent: null, parts: [{ type: 'text', text: 'Jak rozpalić ogień?' }] });
    const again = await call('POST', '/threads/{id}/turns', { id }, { client_id: 'b', parent: null, parts: [{ type: 'text', text: 'Jak rozpalić ogień?' }] });
    expect((again['answer'] as Json)['id']).toBe((turn['answer'] as Json)['id']);
    const answer = String((turn['answer'] as Json)['id']);
    let message: Json = {};
    for (let i = 0; i < 3000 && message['state'] !== 'done'; i++) { await new Promise((r) => setTimeout(r, 100)); message = await call('GET', '/messages/{id}', { id: answer }); }
    expect(message['state']).toBe('done');
    await call('GET', '/threads/{id}/messages', { id });
    await call('GET', '/messages/{id}/prompt', { id: answer });
    await call('GET', '/threads/{id}/context', { id });
    await call('POST', '/threads/{id}/fork', { id }, { client_id: 'c', at: answer });
    await call('PATCH', '/threads/{id}', { id }, { title: 'Ogień', draft: { text: 'x', parts: [], at_ms: 1 } });
    await call('PATCH', '/messages/{id}', { id: answer }, { pinned: true });
    expect(await call('POST', '/messages/{id}/versions', { id: answer }, { client_id: 'e', text: 'Suchym drewnem' })).toMatchObject({ source: 'edited', origin: answer, answer: null });
    await call('DELETE', '/messages/{id}', { id: answer });
    await call('PATCH', '/threads', {}, { ids: [id], archived: true, folder: 'Hala', add_tags: ['zima'] });
    await call('DELETE', '/threads/{id}', { id });
    await call('POST', '/threads/erase', {}, { ids: [String((await call('POST', '/threads', {}, { client_id: 'f' }))['id'])] });
  });
  it('the other rooms', async () => {
    await call('POST', '/models/{id}/load', { id: 'smollm2' }, {});
    await call('POST', '/downloads', {}, { name: 'qwen2.5-coder-0.5b' });
    const compare = await call('POST', '/compares', {}, { client_id: 'd', question: 'Kto?', blind: true, columns: [{ model: 'smollm2' }, { model: 'hermes-4-70b' }] });
    expect((compare['columns'] as Json[]).every((c) => c['model'] === null)).toBe(true);
    await call('POST', '/compares/{id}/columns', { id: String(compare['id']) }, { name: 'skądinąd', text: 'Ja.' });
    await call('POST', '/compares/{id}/stop', { id: String(compare['id']) }, {});
    await call('POST', '/compares/{id}/vote', { id: String(compare['id']) }, { column: null, verdict: 'tie' });
    await call('PUT', '/personas/{id}', { id: 'p' }, { name: 'Baca', text: 'Mów krótko.' });
    await call('PUT', '/phrases/{id}', { id: 'list' }, { name: 'List', text: 'Napisz list o {{temat}}.' });
    expect((await call('GET', '/phrases'))['phrases']).toMatchObject([{ name: 'List' }]);
    await call('DELETE', '/phrases/{id}', { id: 'list' });
    await call('PUT', '/sets/{id}', { id: 's' }, { name: 'Moje', questions: ['Kto?'] });
    const series = await call('POST', '/series', {}, { client_id: 'q', questions: ['Kto?', 'Gdzie?'], blind: false, columns: [{ model: 'smollm2' }, { model: 'smollm2' }] });
    expect(series).toMatchObject({ state: 'running', all: 2 });
    expect(await call('POST', '/series/{id}/stop', { id: String(series['id']) }, {})).toMatchObject({ state: 'stopped' });
    await call('POST', '/folders', {}, { path: '/models' });
    await call('PATCH', '/settings', {}, { 'sampling.temperature': 1.1 });
  });
  it('refusals have one shape and name the field', async () => {
    const refuse = async (method: string, path: string, body: unknown) => { const r = await fetch(`${mock.url}/watra/v1${path}`, { method, headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify(body) }); return { status: r.status, json: (await r.json()) as { error: Json } }; };
    const range = await refuse('PATCH', '/settings', { 'sampling.temperature': 9 });
    expect(range.status).toBe(400);
    expect(range.json.error).toMatchObject({ code: 'request.invalid', param: 'sampling.temperature', allowed: '0..5' });
    expect(fault(range.json, api.components.schemas['Error'] ?? {})).toBeNull();
    expect(await refuse('PUT', '/personas/q', { name: 'Baca', text: '', if_updated_ms: 5 })).toMatchObject({ status: 409, json: { error: { code: 'persona.changed' } } });
    expect(await refuse('PUT', '/phrases/q', { name: 'List', text: '' })).toMatchObject({ status: 400, json: { error: { code: 'request.invalid', param: 'text' } } });
    expect(await refuse('PUT', '/phrases/q', { name: 'List', text: 'x', if_updated_ms: 5 })).toMatchObject({ status: 409, json: { error: { code: 'phrase.changed' } } });
    expect((await refuse('POST', '/downloads', { name: 'nie-ma' })).json.error['code']).toBe('model.unknown');
    const bare = await fetch(`${mock.url}/watra/v1/threads`, { method: 'POST' });
    expect(bare.status).toBe(403);
  });
});
