// Drives the built page against the mock server with Debian's chromium. Every page is watched: a violation of the CSP, a request that
// leaves the machine, an error on the console, a warning of Svelte's or a broken script fails the suite.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';

import { chromium } from 'playwright-core';

import { startMock } from '../../mock/server.mjs';
import { startReal } from './real.mjs';

export const CHROMIUM = process.env.WATRA_CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

const ARGS = ['--no-sandbox', '--disable-gpu', '--force-color-profile=srgb'];

/** How long a step may take before it counts as failed. */
export const PATIENCE_MS = Number(process.env.WATRA_PATIENCE_MS ?? 60_000); // where other work may hold the machine for longer: more

/** Waits until what `read` gives is what is wanted: a click's work is done some time after the click. What stood there at the end is told. */
export async function until(read, wanted) {
  for (const end = performance.now() + PATIENCE_MS; ; await pause(50)) {
    const found = await read();
    if (isDeepStrictEqual(found, wanted)) return;
    if (performance.now() > end) assert.deepEqual(found, wanted);
  }
}

/** The last thing that stands there is an answer that has ended, and none has been asked for since: the page says that it is busy from the click on. */
export const answerDone = (page) => page.waitForFunction(() => [...document.querySelectorAll('.row-in')].at(-1)?.matches(':not(.mine):has(.tools)') && !document.querySelector('.log[aria-busy=true], .composer[aria-busy=true]'));

export const FAR = 'chata.test'; // a name that is not loopback: over plain HTTP an insecure context, as for a phone on the LAN

/** A server in a process of its own, that can be killed and started again where it stood. */
async function startChild({ rate = 24 }) {
  const home = mkdtempSync(join(tmpdir(), 'watra-page-'));
  let child;
  let port = 0;
  const start = () => new Promise((resolve, reject) => {
    child = spawn(process.execPath, [fileURLToPath(new URL('../../mock/main.mjs', import.meta.url)), '--port', String(port), '--rate', String(rate), '--keep', join(home, 'kept.json')], { stdio: ['ignore', 'pipe', 'inherit'] });
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
    child.stdout.on('data', (said) => { port = Number(/listening on .*:(\d+)/.exec(said)?.[1] ?? port); resolve(); });
  });
  await start();
  return { url: `http://127.0.0.1:${port}`, start, kill: () => new Promise((resolve) => { child.once('exit', resolve); child.kill('SIGKILL'); }), close: () => { child.kill('SIGKILL'); rmSync(home, { recursive: true, force: true }); } };
}

/** For pictures: the page takes the processor's WebGL for a card's and lets the fire live. */
export const letItBurn = (context) => context.addInitScript(() => { const real = WebGLRenderingContext.prototype.getExtension; WebGLRenderingContext.prototype.getExtension = function (name) { return name === 'WEBGL_debug_renderer_info' ? null : real.call(this, name); }; });

/** For timings: the page believes in a graphics card and shows words as oft as it does with one; the fire stands still, no context is given to its canvas. */
export const asWithACard = (context) => context.addInitScript(() => { const real = HTMLCanvasElement.prototype.getContext; HTMLCanvasElement.prototype.getContext = function (kind, ...rest) { return kind !== 'webgl' ? real.call(this, kind, ...rest) : this.isConnected ? null : { getExtension: () => null }; }; });

/** `fire`: with WebGL drawn by the processor, for pictures; the suite does without. Without a browser there is nothing to test: said, and skipped, except in CI. */
export async function launch({ fire = false } = {}) {
  if (CHROMIUM) return chromium.launch({ executablePath: CHROMIUM, args: [...ARGS, `--host-resolver-rules=MAP ${FAR} 127.0.0.1`, ...(fire ? [] : ['--disable-3d-apis'])] });
  return without();
}

/** A browser that nobody steers, as a person's is: whoever is attached to a page is told of every piece of its stream, which costs. Tabs are opened and closed from outside. */
export async function launchAlone() {
  if (!CHROMIUM) return without();
  const profile = mkdtempSync(join(tmpdir(), 'watra-browser-'));
  const quiet = ['--no-first-run', '--no-default-browser-check', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-extensions', '--mute-audio'];
  const child = spawn(CHROMIUM, ['--headless', ...ARGS, '--disable-3d-apis', ...quiet, `--user-data-dir=${profile}`, '--remote-debugging-port=0', '--window-size=1440,900', 'about:blank'], { stdio: 'ignore', detached: true });
  // Its processes are a group: those that outlive the first one write into the profile while it is put away.
  const rest = () => { try { process.kill(-child.pid, 'SIGKILL'); } catch { /* none is left */ } };
  process.once('exit', rest);
  const end = () => new Promise((gone) => {
    const away = () => { process.off('exit', rest); rest(); rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 }); gone(); };
    if (child.exitCode !== null || child.signalCode !== null) away(); else { child.once('exit', away); child.kill('SIGTERM'); }
  });
  // Its port stands in a file, which is there before all of it is written: a second line ends it. Beside other work a browser takes its time.
  const port = () => { try { return /^(\d+)\n./.exec(readFileSync(join(profile, 'DevToolsActivePort'), 'utf8'))?.[1]; } catch { return undefined; } };
  for (const late = performance.now() + PATIENCE_MS; port() === undefined; await pause(50)) {
    if (child.exitCode === null && performance.now() < late) continue;
    await end();
    throw new Error(`the browser ${child.exitCode === null ? `does not say its port after ${PATIENCE_MS} ms` : `ended with ${child.exitCode}`}: ${CHROMIUM}`);
  }
  const way = `http://127.0.0.1:${port()}`;
  /** Attaches to the tab whose address begins so, for as long as it takes. */
  const steer = async (url, work) => {
    const steered = await chromium.connectOverCDP(way);
    try { return await work(steered.contexts()[0].pages().find((page) => page.url().startsWith(url))); } finally { await steered.close(); }
  };
  return {
    pid: child.pid,
    open: async (url) => (await (await fetch(`${way}/json/new?${encodeURIComponent(url)}`, { method: 'PUT' })).json()).id,
    close: async (tab) => { await (await fetch(`${way}/json/close/${tab}`)).text(); },
    /** What the tab at this address shows. */
    look: (url, ask) => steer(url, (page) => page.evaluate(ask)),
    /** Until the tab at this address shows it. */
    shows: (url, what) => steer(url, (page) => page.waitForSelector(what, { timeout: PATIENCE_MS })),
    end,
  };
}

function without() {
  const words = 'page tests: no chromium here (apt-get install chromium, or WATRA_CHROMIUM=path)';
  if (process.env.CI) throw new Error(words);
  console.log(`${words}: skipped`);
  process.exit(77);
}

export async function open(browser, options = {}, view = {}) {
  const mock = options.real ? await startReal(options.real, options) : options.child ? await startChild(options) : await startMock(options);
  if (options.far) mock.url = mock.url.replace('127.0.0.1', FAR);
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'pl-PL', ...view });
  context.setDefaultTimeout(PATIENCE_MS);
  if (options.fire) await letItBurn(context);
  if (options.card) await asWithACard(context);
  const page = await context.newPage();
  const faults = [];
  await page.addInitScript(() => {
    globalThis.violations = [];
    document.addEventListener('securitypolicyviolation', (e) => globalThis.violations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
  });
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('console', (message) => { if ((message.type() === 'error' && !/Failed to load resource|ERR_/.test(message.text())) || message.text().includes('svelte.dev/e/')) faults.push(`console: ${message.text()}`); }); // of what stands still Svelte only warns
  page.on('request', (request) => { if (!request.url().startsWith(mock.url) && !request.url().startsWith('blob:')) faults.push(`foreign request: ${request.url()}`); });
  const query = options.lang ? `/?lang=${options.lang}` : '/';
  const home = options.real ? mock.way.replace('/#', `${query}#`) : mock.url + query;
  await page.goto(home);
  await page.waitForSelector('.home, .welcome, .door', { timeout: Math.max(60_000, PATIENCE_MS) }); // keys pressed before that reach nobody
  return {
    page, mock, home,
    async done() {
      const violations = await page.evaluate(() => globalThis.violations).catch(() => []);
      await context.close();
      await mock.close();
      const all = [...faults, ...violations.map((v) => `securitypolicyviolation: ${v}`)];
      if (all.length > 0) throw new Error(all.join('\n'));
    },
  };
}

/** Writes a persona in the settings, which are left closed. The page speaks English. */
export async function savePersona(page, name, how) {
  await page.keyboard.press('Control+,');
  await page.getByRole('tab', { name: 'Personas' }).click();
  await page.getByRole('button', { name: 'New persona' }).click();
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Who it is and how it speaks').fill(how);
  await page.getByRole('button', { name: 'Save the persona' }).click();
  await page.getByText('Persona saved.').first().waitFor();
  await page.keyboard.press('Escape');
}
