// A finger on an answer: sideways it leafs through the versions, along it scrolls, and over code and tables it moves those.
import assert from 'node:assert/strict';

import { answerDone, until } from './harness.mjs';

const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const WIDE = `Words to begin with.\n\n\`\`\`py\n${'x = "a long line of code" + '.repeat(8)}1\n\`\`\`\n\n| ${'a wide heading | '.repeat(9)}\n|${'--|'.repeat(9)}\n| ${'a wide cell of words | '.repeat(9)}\n\nAnd an end.`;

/** One finger, as the browser itself is told of it. */
async function drag(page, from, to) {
  const wire = await page.context().newCDPSession(page);
  const at = (k) => [{ x: from.x + (to.x - from.x) * k, y: from.y + (to.y - from.y) * k }];
  await wire.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: at(0) });
  for (let k = 1; k <= 10; k++) await wire.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: at(k / 10) });
  await wire.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  await wire.detach();
}
const middleOf = async (of) => { const { x, y, width, height } = await of.boundingBox(); return { x: x + width / 2, y: y + Math.min(height / 2, 300) }; };
async function twoVersions(page) {
  await page.locator('.composer .line textarea').fill('once');
  await page.getByRole('button', { name: 'Send' }).tap();
  await answerDone(page);
  await page.getByRole('button', { name: 'Once more' }).last().tap();
  await page.getByText('2/2').waitFor();
  await answerDone(page);
}

export const cases = [
  ...['full', 'less'].map((motion) => ({ name: `a finger sideways over an answer leafs through its versions, and no further than there are (motion: ${motion})`, options: { lang: 'en', rate: 900, says: 'A short answer.' }, view: { ...phone, ...(motion === 'less' ? { reducedMotion: 'reduce' } : {}) }, async run({ page, mock }) {
    await twoVersions(page);
    const words = page.locator('.row-in:not(.mine) .bubble').last();
    const sweep = async (dx, dy = 0) => { const from = await middleOf(words); await drag(page, from, { x: from.x + dx, y: from.y + dy }); };
    await sweep(120); // to the right: the one before
    await page.getByText('1/2').waitFor();
    await sweep(120); // there is none before it
    await page.waitForTimeout(300);
    await page.getByText('1/2').waitFor();
    await until(() => words.evaluate((bubble) => bubble.style.transform), '');
    await sweep(-40); // not far enough
    await page.waitForTimeout(300);
    await page.getByText('1/2').waitFor();
    await sweep(-60, 90); // that is scrolling
    await page.waitForTimeout(300);
    await page.getByText('1/2').waitFor();
    await sweep(-120);
    await page.getByText('2/2').waitFor();
    const [thread] = [...mock.house.threads.values()].filter((one) => one.title === 'once');
    await until(() => mock.house.messages.get(thread.head).id === [...mock.house.messages.values()].filter((m) => m.thread === thread.id).at(-1).id, true);
    const own = page.locator('.mine .bubble').last(); // one's own words stay where they are
    const from = await middleOf(own);
    await drag(page, from, { x: from.x - 120, y: from.y });
    await page.waitForTimeout(300);
    await page.getByText('2/2').waitFor();
  } })),
  { name: 'a finger sideways over code or a table that scrolls moves that, not the versions', options: { lang: 'en', rate: 900, says: WIDE }, view: phone, async run({ page }) {
    await twoVersions(page);
    for (const wide of ['.md pre', '.md .table']) {
      const box = page.locator(wide).last();
      await box.scrollIntoViewIfNeeded();
      assert.ok(await box.evaluate((it) => it.scrollWidth > it.clientWidth + 100), wide);
      const from = await middleOf(box);
      await drag(page, from, { x: from.x - 120, y: from.y });
      await until(() => box.evaluate((it) => it.scrollLeft > 40), true);
      await page.getByText('2/2').waitFor();
    }
    await page.getByText('And an end.').last().scrollIntoViewIfNeeded();
    const from = await middleOf(page.getByText('And an end.').last());
    await drag(page, from, { x: from.x + 130, y: from.y }); // beside them it leafs
    await page.getByText('1/2').waitFor();
  } },
];
