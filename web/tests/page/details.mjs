// What the page says and shows in its corners: words, signs and figures, in both languages and at both widths. Each case has a server of its own.
import assert from 'node:assert/strict';

import { until } from './harness.mjs';

export const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

export const cases = [
  ...[['pl', 'Pamięć RAM', '128 GB w komputerze', 'dla Watry do 112 GB · 75 GB/s', /^RAM: .* z 112 GB dla Watry$/, /^Dysk \/: zajęte .* z 1 TB$/], ['en', 'Memory', '128 GB in this computer', 'up to 112 GB for Watra · 75 GB/s', /^RAM: .* of 112 GB for Watra$/, /^Disk \/: .* of 1 TB taken$/]].map(([lang, name, all, ours, vessel, disk]) => ({ name: `machine room: all memory and what Watra may use of it are told apart (${lang})`, options: { lang }, async run({ page }) {
    await page.evaluate(() => { location.hash = '#/maszynownia'; });
    const plate = page.locator('.plates div', { hasText: name });
    await until(() => plate.innerText().then((said) => said.split('\n').map((line) => line.trim())), [name, all, ours]);
    await page.getByRole('img', { name: vessel }).waitFor();
    await page.getByRole('img', { name: disk }).waitFor();
  } })),
  ...[['pl', 'Wczytaj inaczej…', 'prędkość nieznana', 'Zmierz maszynę', 'tokenów na sekundę'], ['en', 'Load otherwise…', 'speed unknown', 'Measure the machine', 'tokens a second']].map(([lang, otherwise, unknown, measure, unit]) => ({ name: `shelf: other wishes on a machine that was not measured ask for nothing, and say how to measure it (${lang})`, options: { lang, unmeasured: true }, async run({ page }) {
    const refused = [];
    page.on('response', (answer) => { if (answer.status() >= 400) refused.push(`${answer.status()} ${answer.url()}`); });
    await page.evaluate(() => { location.hash = '#/polka'; });
    await page.getByRole('article', { name: 'SmolLM2 135M' }).getByRole('button', { name: otherwise }).click();
    const wishes = page.locator('dialog');
    await wishes.getByText(unknown).waitFor();
    await wishes.getByRole('slider').press('ArrowLeft');
    await wishes.getByText(unknown).waitFor();
    await wishes.getByRole('button', { name: measure }).click();
    await wishes.getByText(unit).waitFor(); // and once it was measured, the wishes are counted where they stand
    assert.deepEqual(refused, []);
  } })),
];
