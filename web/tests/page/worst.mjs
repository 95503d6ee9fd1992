// The page at its worst: answers that go round and deep, a network that fails at the wrong moment, paper.
import assert from 'node:assert/strict';

import { answerDone, until } from './harness.mjs';

const box = (page) => page.getByRole('textbox', { name: 'Message' });
const pinned = (mock) => [...mock.house.threads.values()].find((one) => one.pinned);
const DEEP = `$$${'\\frac{1}{'.repeat(300)}1${'}'.repeat(300)}$$\n\n${'> '.repeat(300)}quoted\n\n${'- '.repeat(300)}listed\n\nthe end`;

export const cases = [
  { name: 'an answer that opens one thing in another without end is read to its end, and again after a reload', options: { lang: 'en', rate: 100_000, says: DEEP }, view: { viewport: { width: 390, height: 844 } }, async run({ page }) {
    let crashed = false;
    page.on('crash', () => { crashed = true; });
    await box(page).fill('Go deep');
    await box(page).press('Enter');
    await answerDone(page);
    for (const again of [false, true]) {
      if (again) await page.reload();
      await page.locator('.md .maths.broken').waitFor();
      await page.locator('.md > p', { hasText: 'the end' }).waitFor();
      await page.screenshot(); // laid out and painted
      const widths = await page.evaluate(() => ['quoted', 'listed'].map((word) => { const walk = document.createTreeWalker(document.querySelector('.md'), NodeFilter.SHOW_TEXT); while (walk.nextNode()) if (walk.currentNode.data.includes(word)) return walk.currentNode.parentElement.clientWidth; return 0; }));
      assert.ok(widths.every((width) => width > 90), `no room for the words: ${widths}`);
      assert.ok(await page.evaluate(() => document.querySelector('.log').scrollWidth <= document.querySelector('.log').clientWidth));
    }
    assert.equal(crashed, false);
  } },
  { name: 'what a formula may not do is shown in a colour that every theme can be read in, and leads nowhere', options: { lang: 'en', rate: 100_000, says: 'Look: $\\href{javascript:alert(1)}{x}$ and on.' }, async run({ page }) {
    await box(page).fill('Link me');
    await box(page).press('Enter');
    await answerDone(page);
    await page.locator('.md .katex').waitFor();
    assert.equal(await page.locator('.md a').count(), 0);
    for (const theme of ['watra', 'poranek', 'papier', 'kontrast']) {
      const ratios = await page.evaluate((worn) => {
        document.documentElement.dataset.theme = worn;
        const light = (colour) => { const full = colour.length === 4 ? colour.replace(/[^#]/g, '$&$&') : colour; const [r, g, b] = (full.startsWith('#') ? [1, 3, 5].map((i) => parseInt(full.slice(i, i + 2), 16)) : full.match(/[\d.]+/g).slice(0, 3).map(Number)).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4)); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        return [...document.querySelectorAll('.md .katex-html [style*=color]')].flatMap((one) => { const style = getComputedStyle(one); return ['--bg', '--surface', '--raised'].map((ground) => { const [a, b] = [light(style.color), light(style.getPropertyValue(ground).trim())]; return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); }); });
      }, theme);
      assert.ok(ratios.length > 0);
      assert.ok(Math.min(...ratios) >= 4.5, `${theme}: ${ratios}`);
    }
  } },
  { name: 'a conversation that does not come is asked for again, and is not said to be gone', options: { lang: 'en' }, async run({ page, mock }) {
    const { id } = pinned(mock);
    await page.route(`**/threads/${id}/messages**`, (route) => route.abort());
    await page.evaluate((to) => { location.hash = `#/izba/${to}`; }, id);
    await page.getByText('Fetching…').or(page.locator('.log .wait')).first().waitFor();
    await page.waitForTimeout(500);
    assert.equal(await page.locator('.gone').count(), 0);
    await page.unroute(`**/threads/${id}/messages**`);
    await page.locator('.md').first().waitFor();
    await page.evaluate(() => { location.hash = '#/izba/no-such-conversation'; });
    await page.locator('.gone').waitFor();
  } },
  { name: 'what is said while the conversation is still coming follows its end', options: { lang: 'en', rate: 900 }, async run({ page, mock }) {
    const { id, head } = pinned(mock);
    let open = () => undefined;
    const gate = new Promise((done) => { open = done; });
    await page.route(`**/threads/${id}/messages**`, async (route) => { await gate; return route.continue(); });
    await page.evaluate((to) => { location.hash = `#/izba/${to}`; }, id);
    await page.locator('.log .wait').waitFor();
    await box(page).fill('Said early');
    await box(page).press('Enter');
    await page.waitForTimeout(300);
    open();
    await page.locator('.mine', { hasText: 'Said early' }).waitFor();
    await answerDone(page);
    assert.equal([...mock.house.messages.values()].find((one) => one.parts[0]?.text === 'Said early').parent, head);
  } },
  { name: 'what is said while the conversation cannot be had stands in the field again', options: { lang: 'en', rate: 900 }, async run({ page, mock }) {
    const { id } = pinned(mock);
    await page.route(`**/threads/${id}/messages**`, async (route) => { await new Promise((done) => setTimeout(done, 600)); return route.abort(); });
    await page.evaluate((to) => { location.hash = `#/izba/${to}`; }, id);
    await page.locator('.log .wait').waitFor();
    await box(page).fill('Said into the wind');
    await box(page).press('Enter');
    await page.locator('.notice', { hasText: 'The server does not answer.' }).waitFor();
    await until(() => box(page).inputValue(), 'Said into the wind');
  } },
  { name: 'paper shows the whole conversation in the colours of paper, and nothing that is pressed', options: { lang: 'en', big: true }, async run({ page, mock }) {
    const thread = [...mock.house.threads.values()].find((one) => one.n_messages > 1000);
    await page.evaluate((to) => { location.hash = `#/izba/${to}`; }, thread.id);
    await page.locator('.row-in').first().waitFor();
    await until(() => page.locator('.log .wait').count(), 0);
    const sheets = async () => ((await page.pdf({ format: 'A4' })).toString('latin1').match(/\/Type \/Page\b/g) ?? []).length;
    await page.waitForTimeout(1500);
    assert.ok((await page.locator('.row-in').count()) < 100);
    const count = await sheets();
    assert.ok(count > 15, `${count} sheets`);
    assert.ok((await page.locator('.row-in').count()) < 100);
    await page.locator('.log').hover();
    await page.mouse.wheel(0, -30_000); // who reads in the middle is there again
    await page.waitForTimeout(1000);
    const top = () => page.locator('.log').evaluate((log) => [...log.querySelectorAll('[data-message]')].find((row) => row.getBoundingClientRect().bottom > log.getBoundingClientRect().top + 1)?.dataset.message);
    const was = await top();
    await sheets();
    await until(() => page.evaluate((id) => Math.round((document.querySelector(`[data-message="${id}"]`)?.getBoundingClientRect().top ?? Infinity) - document.querySelector('.log').getBoundingClientRect().top) <= 24, was), true); // at the top
    await page.evaluate(() => dispatchEvent(new Event('beforeprint'))); // as a browser does it: told first, laid out for paper then
    await page.emulateMedia({ media: 'print' });
    await page.getByText('Paper takes the last 300 messages.').waitFor();
    assert.equal(await page.locator('.row-in:visible').count(), 301); // and the newest
    for (const part of ['.rail', '.wall', '.composer', '.izba > .list', '.row-in > footer']) assert.equal(await page.locator(part).first().isVisible(), false, part);
    assert.equal(await page.locator('.md:visible').first().evaluate((one) => getComputedStyle(one).color), 'rgb(44, 33, 25)');
    assert.ok(await page.getByRole('heading', { level: 1 }).isVisible());
    await page.emulateMedia({ media: 'screen' });
    await page.evaluate(() => dispatchEvent(new Event('afterprint')));
    await page.locator('.rail').waitFor();
  } },
];
