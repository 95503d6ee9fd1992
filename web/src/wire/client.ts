// Requests to /watra/v1. Every failure is a Refusal with the server's code, or `unreachable` when there was no answer at all.
import type { WireError } from './types';

export const BASE = '/watra/v1';

export class Refusal extends Error {
  constructor(readonly status: number, readonly error: WireError, readonly body: Record<string, unknown> = {}) {
    super(error.message);
  }
  get code(): string { return this.error.code; }
}

/** Called on every 401 with what the server says about the password; the session store sets it. */
export const door: { closed: (password: boolean) => void } = { closed: () => undefined };

async function refusal(response: Response): Promise<Refusal> {
  const body = (await response.json().catch(() => ({}))) as { error?: WireError; password?: boolean };
  if (response.status === 401 && body.error?.code === 'session.needed') door.closed(body.password ?? true);
  const error = body.error ?? { code: 'route.unknown', message: `status ${response.status}` };
  return new Refusal(response.status, error, body as Record<string, unknown>);
}

async function request(method: string, path: string, body?: unknown, headers: Record<string, string> = {}, patience: AbortSignal | null = null): Promise<Response> {
  const raw = body instanceof Blob;
  const init: RequestInit = { method, headers: { ...headers }, signal: patience };
  if (method !== 'GET') (init.headers as Record<string, string>)['X-Watra'] = '1';
  if (body !== undefined) {
    init.body = raw ? body : JSON.stringify(body);
    // A change outlives the page that made it: closing or reloading at once loses nothing.
    if (method === 'PATCH' && !raw && (init.body as string).length < 30_000) init.keepalive = true;
    if (!raw) (init.headers as Record<string, string>)['Content-Type'] = 'application/json';
  }
  let response: Response;
  try {
    response = await fetch(BASE + path, init);
  } catch {
    throw new Refusal(0, { code: 'unreachable', message: 'the server does not answer' });
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function json<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await request(method, path, body);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export const get = <T>(path: string) => json<T>('GET', path);
/** Where a late answer is none. */
export const getSoon = async <T>(path: string, ms = 5000): Promise<T> => (await request('GET', path, undefined, {}, AbortSignal.timeout(ms))).json() as Promise<T>;
export const post = <T>(path: string, body: unknown = {}) => json<T>('POST', path, body);
const AGAIN_MS = [700, 2000];
/** What comes to the same when it is asked for twice: where no answer comes, once more. */
async function surely<T>(ask: () => Promise<T>): Promise<T> {
  for (const pause of AGAIN_MS) {
    try { return await ask(); } catch (error) { if (!(error instanceof Refusal) || error.status !== 0) throw error; }
    await new Promise((go) => setTimeout(go, pause));
  }
  return ask();
}
/** What creates something, under a name made here: it is made once, whichever way the words were lost. */
export function create<T>(path: string, body: Record<string, unknown> = {}): Promise<T> {
  const named = { client_id: clientId(), ...body };
  return surely(() => post<T>(path, named));
}
export const patch = <T>(path: string, body: unknown) => json<T>('PATCH', path, body);
export const put = <T>(path: string, body: unknown) => json<T>('PUT', path, body);
export const remove = <T = void>(path: string) => json<T>('DELETE', path);

/** Bytes as they are, with a name; the answer as JSON. The same bytes are kept once. */
export function upload<T>(path: string, bytes: Blob, name: string): Promise<T> {
  const headers = { 'Content-Type': bytes.type || 'application/octet-stream', 'X-Watra-Name': encodeURIComponent(name) };
  return surely(async () => (await request('POST', path, bytes, headers)).json() as Promise<T>);
}

export async function text(path: string): Promise<string> { return (await request('GET', path)).text(); }

/** An id made here. `randomUUID` is missing where the page came over plain HTTP from another machine. */
export function clientId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}
