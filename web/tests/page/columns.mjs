// Side by side: a column says what it does, and comparisons go out as they are.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

import { until } from './harness.mjs';

export const cases = [
  { name: 'side by side: a column with no word yet waits or reads and does not speak; all of it goes out for another Watra', options: { lang: 'en', rate: 60 }, async run({ page, mock }) {
    const { id } = await page.evaluate(() => fetch('/watra/v1/compares', { method: 'POST', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify({ client_id: 'two', question: 'Who?', blind: false, columns: [{ model: 'bielik-11b-v3' }, { model: 'smollm2' }] }) }).then((r) => r.json()));
    await page.evaluate((to) => { location.hash = `#/obok/${to}`; }, id);
    await page.waitForSelector('.column header');
    // Looked at in every frame until both are done: what it says, and whether it has words.
    const seen = await page.evaluate(() => new Promise((told) => {
      const all = new Set();
      const look = () => {
        const columns = [...document.querySelectorAll('.column')];
        for (const one of columns) all.add(`${one.querySelector('header .num').textContent.trim()}: ${one.querySelector('.md') && one.querySelector('.md').textContent.trim() !== '' ? 'words' : 'empty'}`);
        if (columns.every((one) => /tok/.test(one.querySelector('header .num').textContent))) told([...all]); else requestAnimationFrame(look);
      };
      look();
    }));
    assert.ok(!seen.includes('speaking: empty'), seen.join(', '));
    assert.ok(seen.includes('speaking: words') && seen.some((one) => /^(waiting|reading|loading): empty$/.test(one)), seen.join(', '));
    await until(() => mock.house.compares.get(id).state, 'done');
    await page.getByRole('button', { name: 'Save the table' }).click();
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: 'Comparisons, for another Watra' }).click()]);
    assert.equal(file.suggestedFilename(), 'watra-obok.jsonl');
    const [line] = (await readFile(await file.path(), 'utf8')).trim().split('\n');
    assert.deepEqual([JSON.parse(line).watra, JSON.parse(line).compare.question], [1, 'Who?']);
  } },
  { name: 'the form of an edit on a phone: each button keeps its words on one line, inside the window', options: { lang: 'pl', rate: 900 }, view: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }, async run({ page }) {
    await page.evaluate(() => fetch('/watra/v1/threads').then((r) => r.json()).then((a) => { location.hash = `#/izba/${a.threads[0].id}`; }));
    await page.waitForSelector('.md > *');
    await page.getByRole('button', { name: 'Popraw' }).last().tap();
    await page.locator('.edit textarea').fill('Inaczej');
    await page.locator('.edit .acts').waitFor();
    const buttons = await page.locator('.edit .acts button').evaluateAll((all) => all.map((one) => { const { left, right, height } = one.getBoundingClientRect(); return { inside: left >= 0 && right <= innerWidth, whole: one.scrollWidth <= one.clientWidth, low: height < 44 }; }));
    assert.equal(buttons.length, 3);
    for (const one of buttons) assert.deepEqual(one, { inside: true, whole: true, low: true });
  } },
];
