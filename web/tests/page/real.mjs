// A real `watra serve` with smollm2 on a home of its own, under /tmp; what the walk does with it is in real_suite.mjs. The shelf is filled from
// WATRA_TEST_HOME (build/test-home). Started again on the same home and port after `kill`. With `road` the page comes over one that can be bad (road.mjs).
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { startRoad } from './road.mjs';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const SHELF = join(process.env.WATRA_TEST_HOME ?? join(ROOT, 'build/test-home'), 'models');

// A test that breaks in the middle leaves no server behind.
const alive = new Set();
process.once('exit', () => { for (const one of alive) one.kill('SIGKILL'); });
for (const sign of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(sign, () => process.exit(1)); // so that whoever ends it is heard above

export async function startReal(watra, { model = 'smollm2', args = [], files = /SmolLM2|coder-0\.5b/i, road = false } = {}) {
  const home = mkdtempSync(join(tmpdir(), 'watra-page-'));
  mkdirSync(join(home, 'models'));
  for (const file of readdirSync(SHELF)) if (file.endsWith('.gguf') && files.test(file)) symlinkSync(join(SHELF, file), join(home, 'models', file));
  let child;
  let port = 0;
  let way = '';
  const start = () => new Promise((done, reject) => {
    let log = '';
    child = spawn(resolve(ROOT, watra), ['serve', '--home', home, '--port', String(port), ...(model ? ['--model', model] : []), '-v', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const one = child;
    alive.add(one);
    one.once('exit', () => alive.delete(one));
    child.once('exit', (code) => reject(new Error(`watra serve ended with ${code}\n${log.slice(-2000)}`)));
    const ready = () => { if (port && way) done(); };
    child.stdout.on('data', (said) => { port = Number(/listening on http:\/\/[^:]+:(\d+)/.exec(said)?.[1] ?? port); ready(); });
    child.stderr.on('data', (said) => { log += said; way = /the page: (\S+)/.exec(log)?.[1] ?? way; ready(); });
  });
  await start();
  const bad = road ? await startRoad(() => port) : null;
  const over = () => bad?.port ?? port;
  const end = (signal) => new Promise((gone) => { child.once('exit', gone); child.kill(signal); });
  return {
    road: bad,
    get url() { return `http://127.0.0.1:${over()}`; },
    get way() { return way.replace(`:${port}/`, `:${over()}/`); }, // the address that lets one in: it carries the code
    get pid() { return child.pid; },
    token: () => readFileSync(join(home, 'token'), 'utf8').trim(),
    start: async () => { way = ''; await start(); },
    kill: () => end('SIGKILL'),
    async close() { bad?.close(); await end('SIGTERM'); rmSync(home, { recursive: true, force: true }); },
  };
}
