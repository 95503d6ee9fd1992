// tools/web pictures [FOLDER] [WORD]: a picture of every room in each theme, desktop and phone (build/pictures); with WORD those whose name
// holds it. `tools/web pictures --chosen` makes the few that README shows, under docs/pictures.
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { launch, open } from './harness.mjs';

const CHOSEN = ['izba-watra', 'izba-poranek', 'obok-watra', 'polka-poranek', 'maszynownia-papier', 'ustawienia-kontrast', 'start-model', 'telefon-izba-watra', 'telefon-witaj-poranek', 'telefon-polka-papier'];
const chosen = process.argv.includes('--chosen');
const [folder = chosen ? 'docs/pictures' : 'build/pictures', word = ''] = process.argv.slice(2).filter((a) => !a.startsWith('--'));
const into = resolve(fileURLToPath(new URL('../../..', import.meta.url)), folder);
mkdirSync(into, { recursive: true });
const themes = { watra: 22, poranek: 7, papier: 13, kontrast: 18 }; // and the hour at which each is looked at
const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 1, isMobile: true, hasTouch: true };
const browser = await launch({ fire: true });
let failed = 0;

async function shoot(name, options, view, act) {
  if (chosen ? !CHOSEN.includes(name) : !name.includes(word)) return;
  const { page, mock, done } = await open(browser, options, view);
  try {
    mock.house.settings['look.theme'] = options.theme ?? 'watra';
    await page.goto('about:blank');
    await page.clock.install({ time: new Date(2026, 10, 28, options.hour ?? 20, 20) });
    await page.goto(mock.url + '/');
    await page.waitForSelector('.home, .welcome');
    await act(page, mock);
    await page.clock.runFor(700);
    await page.waitForTimeout(600);
    await page.screenshot({ path: `${into}/${name}.jpg`, type: 'jpeg', quality: 80 });
    console.log(`${folder}/${name}.jpg`);
  } catch (error) { failed++; console.error(name, String(error).slice(0, 300)); }
  await done().catch((error) => console.error(name, error.message));
}
const rooms = {
  izba: async (page) => { await page.getByRole('link', { name: /Jak rozpalić/ }).first().click({ timeout: 5000 }).catch(async () => { await page.evaluate(() => fetch('/watra/v1/threads').then((r) => r.json()).then((a) => { location.hash = '#/izba/' + a.threads[0].id; })); }); await page.waitForSelector('.md p'); },
  kod: async (page) => { await page.evaluate(() => fetch('/watra/v1/threads').then((r) => r.json()).then((a) => { location.hash = '#/izba/' + a.threads[1].id; })); await page.waitForSelector('.md .code'); },
  witaj: async (page) => { await page.waitForSelector('.empty'); },
  polka: async (page) => { await page.evaluate(() => { location.hash = '#/polka'; }); await page.waitForSelector('.model'); },
  obok: async (page, mock) => { mock.house.options.rate = 900; await page.evaluate(() => fetch('/watra/v1/compares', { method: 'POST', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify({ client_id: 'x', question: 'Jak rozpalić ogień na deszczu?', blind: true, columns: [{ model: 'bielik-11b-v3' }, { model: 'hermes-4-70b' }, { model: 'llama-3.3-70b-q8' }] }) }).then((r) => r.json()).then((c) => { location.hash = '#/obok/' + c.id; })); await page.waitForTimeout(2500); },
  maszynownia: async (page) => { await page.evaluate(() => { location.hash = '#/maszynownia'; }); await page.waitForSelector('.plot canvas'); },
  ustawienia: async (page) => { await page.keyboard.press('Control+,'); await page.waitForSelector('.theme'); },
  szukaj: async (page) => { await page.keyboard.press('Control+k'); await page.getByRole('combobox', { name: /Szukaj/ }).fill('lodz'); await page.waitForTimeout(500); },
};
for (const [theme, hour] of Object.entries(themes)) {
  for (const [room, act] of Object.entries(rooms)) await shoot(`${room}-${theme}`, { theme, hour }, {}, act);
  for (const room of ['izba', 'witaj', 'polka', 'maszynownia', 'obok']) await shoot(`telefon-${room}-${theme}`, { theme, hour }, phone, rooms[room]);
}
await shoot('start', { firstStart: true }, {}, async () => undefined);
await shoot('start-model', { firstStart: true }, {}, async (page) => { await page.getByRole('button', { name: /Rozpalmy/ }).click(); await page.getByRole('button', { name: /Wybierzmy/ }).click(); await page.waitForSelector('.model'); });
await browser.close();
process.exit(failed > 0 ? 1 : 0);
