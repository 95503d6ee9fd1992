// Low windows: a phone held sideways, a page enlarged. Whatever the window, who wants to write can, and every room can be reached.
import assert from 'node:assert/strict';

import { sticksOut } from './details.mjs';
import { until } from './harness.mjs';

const SIZES = [[844, 390], [844, 340], [932, 430], [781, 439], [1366, 400], [1024, 320], [1440, 256], [769, 320], [768, 320], [667, 375], [568, 320], [320, 568], [320, 320]];

/** What of these cannot be seen whole, or is covered by something else. */
const hidden = (page, names) => page.evaluate((all) => all.filter((name) => {
  const one = document.querySelector(name);
  if (!one?.checkVisibility()) return true;
  const box = one.getBoundingClientRect();
  const seen = (x, y) => one.contains(document.elementFromPoint(x, y)) || document.elementFromPoint(x, y)?.contains(one);
  return box.left < 0 || box.top < 0 || box.right > innerWidth || box.bottom > innerHeight || !seen(box.left + box.width / 2, box.top + 4) || !seen(box.left + box.width / 2, box.bottom - 4);
}), names);
/** What is larger than its frame by more than what stands there for the ear alone. */
const spills = (page) => page.evaluate(() => ['html', 'body', '.home', '.place', '.izba', '.sheet'].filter((name) => { const one = document.querySelector(name); return one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1; }));

const WRITING = ['.composer', '.composer textarea', '.composer [type=submit]'];

export const cases = ['pl', 'en'].map((lang) => ({ name: `low windows: field and Send are wholly in sight at every size, and every room is within reach (${lang})`, options: { lang }, async run({ page }) {
  const field = page.locator('.composer textarea');
  const thread = await page.evaluate(() => fetch('/watra/v1/threads').then((r) => r.json()).then((all) => all.threads[0].id));
  for (const place of ['izba', `izba/${thread}`]) {
    await page.evaluate((to) => { location.hash = `#/${to}`; }, place);
    await page.locator(place === 'izba' ? '.empty' : '.md > *').first().waitFor();
    for (const [width, height] of SIZES) {
      const at = `${place} ${width}x${height}`;
      await page.setViewportSize({ width, height });
      await until(() => hidden(page, WRITING).then((list) => ({ at, list })), { at, list: [] });
      await until(() => sticksOut(page).then((list) => ({ at, list })), { at, list: [] });
      await until(() => spills(page).then((list) => ({ at, list })), { at, list: [] });
      for (const room of await page.locator('.rail .room').all()) {
        await room.scrollIntoViewIfNeeded();
        const box = await room.boundingBox();
        assert.ok(box.y >= -1 && box.y + box.height <= height + 1 && box.x + box.width <= width, `${at}: ${JSON.stringify(box)}`);
      }
      await field.fill('Raz, dwa, trzy.\n'.repeat(30));
      await until(() => hidden(page, WRITING).then((list) => ({ at, list })), { at, list: [] });
      await field.fill('');
      await field.blur();
    }
  }
} }));
