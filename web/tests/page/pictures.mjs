// tools/web pictures [FOLDER] [WORD]: a picture of every room and of what lies in its corners (corners.mjs) in each theme, on a desktop, a laptop and
// a phone, named ROOM-THEME-DEVICE.png (build/pictures); with WORD those whose name fits it, as a regular expression. `--en`: in English, `-en` in the
// name; `--still`: without the living fire, sooner. `tools/web pictures --chosen` makes the few that README shows, under docs/pictures.
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { corners } from './corners.mjs';
import { launch, open } from './harness.mjs';
import { answer, go, izba, thread } from './pictures_ways.mjs';

const CHOSEN = { 'izba-watra-desktop': 'izba-watra', 'izba-poranek-desktop': 'izba-poranek', 'obok-watra-desktop': 'obok-watra', 'polka-poranek-desktop': 'polka-poranek', 'maszynownia-papier-desktop': 'maszynownia-papier', 'ustawienia-kontrast-desktop': 'ustawienia-kontrast', 'start3-watra-desktop': 'start-model', 'izba-watra-phone': 'telefon-izba-watra', 'witaj-poranek-phone': 'telefon-witaj-poranek', 'polka-papier-phone': 'telefon-polka-papier' };
const chosen = process.argv.includes('--chosen');
const [folder = chosen ? 'docs/pictures' : 'build/pictures', word = ''] = process.argv.slice(2).filter((a) => !a.startsWith('--'));
const into = resolve(fileURLToPath(new URL('../../..', import.meta.url)), folder);
mkdirSync(into, { recursive: true });
const themes = { watra: 22, poranek: 7, papier: 13, kontrast: 18 }; // and the hour at which each is looked at
const devices = { desktop: {}, laptop: { viewport: { width: 1280, height: 720 } }, phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true } };
const fire = !process.argv.includes('--still');
const english = process.argv.includes('--en');
const browser = await launch({ fire });
let failed = 0;

async function shoot(name, options, view, act) {
  if (chosen ? !CHOSEN[name] : !new RegExp(word).test(name)) return;
  const { page, mock, done } = await open(browser, { ...options, fire }, view);
  const file = chosen ? `${CHOSEN[name]}.jpg` : `${name}${english ? '-en' : ''}.png`;
  try {
    mock.house.settings['look.theme'] = options.theme ?? 'watra';
    await page.goto('about:blank');
    await page.clock.install({ time: new Date(2026, 10, 28, options.hour ?? 20, 20) });
    await page.goto(mock.url + '/');
    await page.waitForSelector('.home, .welcome, .door');
    await act(page, mock);
    if (english) await page.evaluate(() => fetch('/watra/v1/settings', { method: 'PATCH', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: '{"look.language":"en"}' })); // what was pressed before has Polish names
    await page.clock.runFor(700);
    await page.waitForTimeout(600);
    await page.screenshot({ path: `${into}/${file}`, ...(chosen ? { type: 'jpeg', quality: 84 } : {}) });
    console.log(`${folder}/${file}`);
  } catch (error) { failed++; console.error(name, String(error).slice(0, 300)); }
  await done().catch((error) => console.error(name, error.message));
}
const ask = async (page, text) => { await page.getByRole('textbox', { name: 'Wiadomość' }).fill(text); await page.getByRole('button', { name: 'Wyślij' }).click(); };
/** A bit of everything that an answer may hold. */
const MIXED = String.raw`## Ile to będzie

Słowo **czeka na pamięć**[^1], nie na rachunki. Z \(B\) bajtów wag i \(v\) bajtów na sekundę:

$$
t = \frac{B}{v}, \qquad \text{czyli } \frac{40}{75} \approx 0{,}53\ \text{s}
$$

| gdzie leżą wagi | prędkość | na token |
|:--|--:|--:|
| karta | 936 GB/s | 0,04 s |
| RAM | 75 GB/s | **0,53 s** |
| dysk | 6,5 GB/s | 6,15 s |

> Kto pali mokrym drewnem, ten siedzi w dymie.

1. Najpierw karta, bo jest najszybsza.
2. Potem RAM, bo dwa moduły czytają szybciej niż cztery.

- [x] zmierzone
- [ ] sprawdzone jeszcze raz

~~~python
def na_token(bajty: float, pasmo: float) -> float:
    return bajty / pasmo  # 40e9 / 75e9
~~~

[^1]: Każde słowo czyta wszystkie wagi raz.
`;
const rooms = {
  izba,
  kod: async (page) => { await thread(page, 1); await page.waitForSelector('.md .code'); },
  mowi: async (page, mock) => { mock.house.options.rate = 30; await izba(page); await ask(page, 'Opowiedz długo o wieczorze'); await page.clock.runFor(9000); await page.waitForFunction(() => ([...document.querySelectorAll('.md')].at(-1)?.textContent.length ?? 0) > 150); },
  wzory: async (page, mock) => { mock.house.options.rate = 9000; mock.house.options.says = MIXED; await page.waitForSelector('.empty'); await ask(page, 'Ile słów na sekundę da ta maszyna?'); await page.clock.runFor(4000); await page.waitForSelector('.katex'); await page.waitForSelector('.footnote'); },
  witaj: async (page) => { await page.waitForSelector('.empty'); },
  popraw: async (page) => { await izba(page); await answer(page).getByRole('button', { name: 'Popraw', exact: true }).click(); await page.getByRole('textbox', { name: 'Poprawiany tekst' }).fill('Na deszczu najpierw kora brzozy i smolne szczapy, a potem cierpliwość.'); },
  poczatek: async (page) => { await izba(page); await page.getByRole('button', { name: 'Początek odpowiedzi' }).click(); await page.keyboard.type('Są trzy sposoby:'); await page.locator('.composer textarea').last().fill('Jak rozpalić watrę zimą?'); },
  wybor: async (page, mock) => { for (const one of [...mock.house.threads.values()].slice(1)) { one.tags = ['zima']; mock.house.emit('thread.changed', { ...one }); } await izba(page); if (page.viewportSize().width < 600) await page.locator('.beam').getByRole('button', { name: 'Rozmowy' }).click(); await page.locator('.list').getByRole('button', { name: 'Zaznacz kilka rozmów' }).click(); await page.locator('.list [data-thread]').nth(1).click(); await page.locator('.list [data-thread]').nth(2).click(); },
  fakty: async (page) => { await izba(page); await page.locator('button.facts').last().click(); await page.waitForSelector('.row-in dl'); },
  widzial: async (page) => { await izba(page); await answer(page).getByRole('button', { name: 'Więcej', exact: true }).click(); await page.getByRole('menuitem', { name: 'Co widział model' }).click(); await page.waitForSelector('.span.content'); },
  suwaki: async (page) => { await izba(page); await page.getByRole('button', { name: 'Jak mówi' }).click(); await page.waitForSelector('dialog input[type=range]'); },
  polka: async (page) => { await go(page, '#/polka'); await page.waitForSelector('.model'); },
  pytanie: async (page) => { await go(page, '#/obok'); await page.waitForSelector('.obok form'); },
  obok: async (page, mock) => { mock.house.options.rate = 900; await page.evaluate(() => fetch('/watra/v1/compares', { method: 'POST', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify({ client_id: 'x', question: 'Jak rozpalić ogień na deszczu?', blind: true, columns: [{ model: 'bielik-11b-v3' }, { model: 'hermes-4-70b' }, { model: 'llama-3.3-70b-q8' }] }) }).then((r) => r.json()).then((c) => { location.hash = '#/obok/' + c.id; })); await page.waitForTimeout(2500); },
  maszynownia: async (page) => { await go(page, '#/maszynownia'); await page.waitForSelector('.plot canvas'); },
  'maszynownia-dol': async (page) => { await go(page, '#/maszynownia'); await page.waitForSelector('.plot canvas'); await page.locator('.grist').scrollIntoViewIfNeeded(); },
  persony: async (page) => { await page.keyboard.press('Control+,'); await page.getByRole('tab', { name: 'Persony' }).click(); await page.getByRole('button', { name: 'Nowa persona' }).click(); await page.getByLabel('Imię', { exact: true }).fill('Stary baca'); await page.getByLabel('Kim jest i jak mówi').fill('Mówi mało, ciepło i po góralsku. Pamięta każdą owcę z imienia.'); await page.waitForSelector('.who .chip'); },
  ustawienia: async (page) => { await page.keyboard.press('Control+,'); await page.waitForSelector('.theme'); },
  edytor: async (page) => { await page.keyboard.press('Control+,'); await page.getByRole('button', { name: 'Własny motyw' }).click(); await page.waitForSelector('.editor'); await page.locator('.editor').scrollIntoViewIfNeeded(); },
  paleta: async (page) => { await page.keyboard.press('Control+k'); await page.waitForSelector('[role=option]'); },
  skroty: async (page) => { await izba(page); await page.locator('.log').focus(); await page.keyboard.press('?'); await page.waitForSelector('dialog kbd'); },
  szukaj: async (page) => { await page.keyboard.press('Control+k'); await page.getByRole('combobox', { name: /Szukaj/ }).fill('lodz'); await page.waitForTimeout(500); },
};
const begin = (page) => page.getByRole('button', { name: /Rozpalmy/ }).click();
const start = {
  start1: async () => undefined,
  start2: async (page) => { await begin(page); await page.waitForSelector('dl'); },
  start3: async (page) => { await begin(page); await page.getByRole('button', { name: /Wybierzmy/ }).click(); await page.waitForSelector('.model'); },
};
for (const [theme, hour] of Object.entries(themes)) {
  for (const [device, view] of Object.entries(devices)) {
    for (const [room, act] of Object.entries({ ...rooms, ...corners })) await shoot(`${room}-${theme}-${device}`, { theme, hour }, view, act);
    for (const [room, act] of Object.entries(start)) await shoot(`${room}-${theme}-${device}`, { theme, hour, firstStart: true }, view, act);
    await shoot(`drzwi-${theme}-${device}`, { theme, hour, password: 'owca' }, view, async () => undefined);
  }
}
await browser.close();
process.exit(failed > 0 ? 1 : 0);
