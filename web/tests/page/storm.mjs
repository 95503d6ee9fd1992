// The page in a storm: hundreds of messages, clocks that are set while it is open, pasted pictures, words that nobody can see, two tabs that
// change one conversation, ways back and forth through the rooms.
import assert from 'node:assert/strict';

import { answerDone, until } from './harness.mjs';

const box = (page) => page.getByRole('textbox', { name: 'Message' });
const both = (make) => ['pl', 'en'].map((lang) => make(lang, (pl, en) => (lang === 'pl' ? pl : en)));
const go = (page, hash) => page.evaluate((to) => { location.hash = to; }, hash);
const textOf = (message) => message.parts.filter((part) => part.type === 'text').map((part) => part.text).join('');
const said = (mock) => [...mock.house.messages.values()].filter((one) => one.role === 'user');
const DAY = 86_400_000;
/** Pastes so many pictures into the field, as a browser does it: all of one name; each one byte longer than the one before. */
const pastePictures = (page, { n, text = '', of = null, name = 'image.png' }) => page.evaluate(async ([count, words, bytes, called]) => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 40, height: 30 });
  canvas.getContext('2d').fillRect(5, 5, 9, 9);
  const picture = await new Promise((done) => { canvas.toBlob(done, 'image/png'); });
  const data = new DataTransfer();
  for (let i = 0; i < count; i++) data.items.add(new File(bytes ? [bytes] : [picture, new Uint8Array(i)], called, { type: 'image/png' }));
  if (words) { data.setData('text/plain', words); data.setData('text/html', `<table><td>${words}</td></table>`); }
  document.querySelector('.composer textarea').dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
}, [n, text, of, name]);
const part0 = (parts, mock) => mock.house.attachments.get(parts[0].hash).raw.length;
/** A second tab of the same browser. */
async function secondTab(page, home, hash = '') {
  const tab = await page.context().newPage();
  await tab.goto(home + hash);
  await tab.waitForSelector('.home');
  return tab;
}

export const cases = [
  { name: 'storm: 200 messages as fast as keys go, some stopped: all of them said, once and in order, or still in the field', options: { lang: 'en', rate: 4000 }, async run({ page, mock }) {
    const before = new Set(mock.house.messages.keys());
    await box(page).focus();
    for (let i = 0; i < 200; i++) {
      await page.keyboard.insertText(`w${i} `);
      await page.keyboard.press('Enter');
      if (i % 3 === 0) await page.keyboard.press('Escape');
      if (i % 5 === 0) await page.waitForTimeout(60);
      if (i % 40 === 39) await answerDone(page);
    }
    await answerDone(page);
    const mine = said(mock).filter((one) => !before.has(one.id));
    const words = `${mine.map(textOf).join(' ')} ${await box(page).inputValue()}`.split(/\s+/).filter(Boolean);
    assert.deepEqual(words, Array.from({ length: 200 }, (_, i) => `w${i}`));
    assert.ok(mine.length > 20, `${mine.length} messages`);
    for (const [i, one] of mine.entries()) if (i > 0) assert.equal(mock.house.messages.get(one.parent).parent, mine[i - 1].id); // one branch
    assert.equal(new Set(mine.map((one) => one.thread)).size, 1);
    assert.deepEqual(await page.locator('.notice').allInnerTexts(), []);
  } },
  { name: 'storm: Stop on an answer that has ended by itself a moment before says nothing', options: { lang: 'en', rate: 20 }, async run({ page, mock }) {
    await page.route('**/runs/*/stop', async (route) => { mock.house.options.rate = 100_000; await until(() => mock.house.runs.size, 0); return route.continue(); });
    await box(page).fill('one');
    await box(page).press('Enter');
    await page.getByRole('button', { name: 'Stop' }).click();
    await answerDone(page);
    await page.waitForTimeout(300);
    assert.deepEqual(await page.locator('.notice').allInnerTexts(), []);
    assert.equal([...mock.house.messages.values()].at(-1).state, 'done');
  } },
  { name: 'storm: 80 messages, one after the other, in one conversation', options: { lang: 'en', rate: 100_000, says: 'Yes.' }, async run({ page, mock }) {
    const before = new Set(mock.house.messages.keys());
    for (let i = 0; i < 80; i++) {
      await box(page).fill(`message ${i}`);
      await box(page).press('Enter');
      await page.waitForFunction((n) => document.querySelector('.last [data-message]') && !document.querySelector('.log[aria-busy=true], .composer[aria-busy=true]') && [...document.querySelectorAll('.mine .said')].at(-1)?.textContent === n, `message ${i}`);
    }
    await answerDone(page);
    assert.deepEqual(said(mock).filter((one) => !before.has(one.id)).map(textOf), Array.from({ length: 80 }, (_, i) => `message ${i}`));
    assert.ok(await page.locator('.log').evaluate((log) => log.scrollHeight - log.clientHeight - log.scrollTop < 3));
    assert.ok((await page.locator('.row-in').count()) < 60); // what is not seen is not there
  } },
  ...[['forwards', DAY], ['back', -DAY]].map(([way, by]) => ({ name: `storm: the clock of the browser and of the server is set ${way} by a day in the middle of an answer, and while nothing goes on`, options: { lang: 'en', rate: 30 }, async run({ page, mock }) {
    const real = Date.now;
    await page.evaluate(() => { const Real = Date; globalThis.shift = 0; globalThis.Date = class extends Real { constructor(...given) { if (given.length === 0) super(Real.now() + globalThis.shift); else super(...given); } static now() { return Real.now() + globalThis.shift; } }; });
    const set = async (ms) => { Date.now = () => real() + ms; await page.evaluate((to) => { globalThis.shift = to; dispatchEvent(new Event('focus')); }, ms); };
    try {
      await box(page).fill('a long one');
      await box(page).press('Enter');
      await page.locator('.last .md').waitFor();
      await set(by);
      const length = () => page.locator('.last .md').innerText().then((text) => text.length);
      const was = await length();
      await until(async () => (await length()) > was + 40, true); // it goes on
      mock.house.options.rate = 100_000;
      await answerDone(page);
      assert.deepEqual(await page.locator('.notice, .lost').allInnerTexts(), []);
      await box(page).fill('the next one');
      await page.waitForTimeout(900); // the draft is saved
      await set(0);
      await box(page).press('Enter');
      await page.locator('.mine', { hasText: 'the next one' }).waitFor();
      await answerDone(page);
      const mine = said(mock).slice(-2);
      assert.deepEqual(mine.map(textOf), ['a long one', 'the next one']);
      assert.equal(mock.house.messages.get(mine[1].parent).parent, mine[0].id); // one after the other, whatever their hours
      await page.reload();
      await page.locator('.mine').last().waitFor();
      await page.getByText('the next one', { exact: true }).first().waitFor();
      assert.equal(await box(page).inputValue(), '');
    } finally { Date.now = real; }
  } })),
  ...both((lang, w) => ({ name: `storm: over night yesterday's conversations leave "today", and the greeting is the morning's (${lang})`, options: { lang, night: true }, async run({ page }) {
    await page.evaluate(() => { const Real = Date; globalThis.to = null; globalThis.Date = class extends Real { constructor(...given) { if (given.length === 0) super(Date.now()); else super(...given); } static now() { return globalThis.to ?? Real.now(); } }; });
    const set = (days, hour) => page.evaluate(([d, h]) => { globalThis.to = null; const at = new Date(); at.setDate(at.getDate() + d); at.setHours(h, 0, 10, 0); globalThis.to = at.getTime(); dispatchEvent(new Event('focus')); }, [days, hour]);
    await set(0, 22);
    await page.getByRole('heading', { name: w('Dobry wieczór', 'Good evening') }).waitFor();
    await page.getByRole('heading', { name: w('Dzisiaj', 'Today') }).or(page.getByRole('heading', { name: w('W tym tygodniu', 'This week') })).first().waitFor();
    await set(1, 8);
    await page.getByRole('heading', { name: w('Dzień dobry', 'Good morning') }).waitFor();
    assert.equal(await page.locator('.list h2', { hasText: w('Dzisiaj', 'Today') }).count(), 0);
  } })),
  ...both((lang, w) => ({ name: `storm: a message of signs that nobody can see is none; beside what can be seen they stay (${lang})`, options: { lang, rate: 100_000 }, async run({ page, mock }) {
    const field = page.getByRole('textbox', { name: w('Wiadomość', 'Message') });
    const send = page.getByRole('button', { name: w('Wyślij', 'Send') });
    const before = mock.house.messages.size;
    for (const unseen of ['\u200b', '\u200c\u200d', '\ufeff', '\u2060 \u200b\n', '\u00ad', '\u3164', '\u2800', '\ufe0f']) {
      await field.fill(unseen);
      await until(() => send.isDisabled(), true);
      await field.press('Enter');
    }
    await page.waitForTimeout(300);
    assert.equal(mock.house.messages.size, before);
    await field.fill('👨\u200d👩\u200d👧 i \u200bto');
    await field.press('Enter');
    await answerDone(page);
    assert.equal(textOf(said(mock).at(-1)), '👨\u200d👩\u200d👧 i \u200bto');
    await page.locator('.mine').getByRole('button', { name: w('Popraw', 'Edit'), exact: true }).click();
    await page.getByRole('textbox', { name: w('Poprawiany tekst', 'Text being edited') }).fill('\u200b\u2060');
    assert.equal(await page.getByRole('button', { name: w('Wyślij poprawione', 'Send edited') }).isDisabled(), true);
  } })),
  ...both((lang, w) => ({ name: `storm: twenty pictures pasted at once for a model that sees none are one word, not twenty; words pasted with their picture are words (${lang})`, options: { lang }, async run({ page, mock }) {
    const field = page.getByRole('textbox', { name: w('Wiadomość', 'Message') });
    await pastePictures(page, { n: 20 });
    await page.locator('.notice').first().waitFor();
    await until(() => page.locator('.notice > span').allInnerTexts().then((all) => all.map((text) => text.replaceAll('\u00a0', ' '))), [w('Ten model nie widzi obrazów. Można opisać słowami, co pokazują.', 'This model cannot see pictures. You can say in words what they show.')]);
    assert.equal(mock.house.attachments.size, 0);
    // As out of a table or a text with its look: the same in words and as a picture of it.
    await field.fill('');
    await pastePictures(page, { n: 1, text: 'pies\t3' });
    assert.equal(await page.locator('.notice').count(), 1);
  } })),
  { name: 'storm: pictures for a model that sees: twenty in their order, one too large told of, one that is no picture shown as a file', options: { lang: 'en', rate: 100_000 }, async run({ page, mock }) {
    mock.house.engine = { ...mock.house.engine, vision: true };
    await page.reload();
    await box(page).waitFor();
    await pastePictures(page, { n: 20 });
    await until(() => page.locator('.files .chip').count(), 20);
    await until(() => page.locator('.files .chip').allInnerTexts().then((all) => all.every((text) => text.includes('image.png'))), true);
    await page.getByRole('button', { name: 'Send' }).click();
    await answerDone(page);
    const sent = said(mock).at(-1).parts;
    assert.deepEqual(sent.map((part) => part.type), Array.from({ length: 20 }, () => 'image'));
    assert.deepEqual(sent.map((part) => mock.house.attachments.get(part.hash).raw.length), Array.from({ length: 20 }, (_, i) => part0(sent, mock) + i));
    // Too large for the server: nothing is lost of what was typed.
    await page.route('**/attachments', (route) => route.fulfill({ status: 413, json: { error: { code: 'request.too_large', message: 'over 64 MiB' } } }), { times: 1 });
    await box(page).fill('look');
    await pastePictures(page, { n: 1 });
    await page.locator('.notice.bad').waitFor();
    assert.equal(await box(page).inputValue(), 'look');
    assert.equal(await page.locator('.files .chip').count(), 0);
    // Called a picture, and none: it is shown by its name, nothing breaks.
    await pastePictures(page, { n: 1, of: 'this is no picture', name: 'liar.png' });
    await until(() => page.locator('.files .chip').count(), 1);
    await page.getByRole('button', { name: 'Send' }).click();
    await answerDone(page);
    await page.locator('.mine').last().getByText('liar.png').waitFor();
    await page.reload();
    await page.locator('.mine').last().getByText('liar.png').waitFor();
  } },
  ...both((lang, w) => ({ name: `storm: the slip of an answer tells of the memory as the gauge does (${lang})`, options: { lang, rate: 100_000 }, async run({ page, mock }) {
    await page.getByRole('textbox', { name: w('Wiadomość', 'Message') }).fill('a');
    await page.keyboard.press('Enter');
    await answerDone(page);
    const gauge = page.getByRole('meter');
    await gauge.waitFor();
    await page.locator('button.facts').last().click();
    const row = page.locator('dl div', { hasText: w('Pamięć rozmowy', 'Context') }).last().locator('dd');
    assert.equal(await row.innerText(), await gauge.getAttribute('title'));
    // An answer that took what was kept for it.
    const answer = [...mock.house.messages.values()].at(-1);
    Object.assign(answer.answer.context, { n_ctx: 4096, used_tokens: 3500, reserve_tokens: 1024 });
    await page.reload();
    await page.locator('button.facts').last().click();
    await until(async () => (await row.innerText()).replaceAll('\u00a0', ' '), w('3072 z 3072 tokenów i 428 z 1024 na odpowiedź', '3072 of 3072 tokens, and 428 of the 1024 kept for the answer'));
  } })),
  { name: 'storm: a conversation that speaks in one tab is erased in another: its answer is stopped first, both tabs know', options: { lang: 'en', rate: 20 }, async run({ page, mock, home }) {
    await box(page).fill('a very long one');
    await box(page).press('Enter');
    await page.locator('.last .md').waitFor();
    const hash = await page.evaluate(() => location.hash);
    const id = hash.split('/')[2];
    await box(page).fill('half of the next');
    const tab = await secondTab(page, home, hash);
    await tab.locator('.last .md').waitFor();
    await tab.getByRole('button', { name: 'More about this conversation' }).click();
    await tab.getByRole('menuitem', { name: 'Erase the conversation' }).click();
    await tab.locator('dialog').getByRole('button', { name: 'Erase for good' }).click();
    await tab.locator('dialog').waitFor({ state: 'detached' });
    await until(() => tab.evaluate(() => location.hash), '#/izba');
    assert.equal(mock.house.threads.has(id), false);
    assert.equal(mock.house.runs.size, 0);
    await page.locator('.gone').waitFor();
    for (const one of [page, tab]) { assert.equal(await one.locator(`[data-thread="${id}"]`).count(), 0); assert.deepEqual(await one.locator('.notice.bad').allInnerTexts(), []); }
    await page.locator('.gone').getByRole('button', { name: 'New conversation' }).click();
    await until(() => box(page).inputValue(), 'half of the next'); // what was being written is not lost
    await box(page).fill('Anew');
    await box(page).press('Enter');
    await page.locator('.mine', { hasText: 'Anew' }).waitFor();
  } },
  { name: 'storm: many conversations are erased while two of them speak', options: { lang: 'en', rate: 20 }, async run({ page, mock }) {
    const ids = [...mock.house.threads.keys()];
    for (const id of ids.slice(0, 2)) {
      await go(page, `#/izba/${id}`);
      await page.locator('.md').first().waitFor();
      await box(page).fill('a very long one');
      await box(page).press('Enter');
      await page.getByRole('button', { name: 'Stop' }).waitFor();
    }
    assert.equal(mock.house.runs.size, 2);
    await page.getByRole('button', { name: 'Select several' }).first().click();
    await page.getByRole('button', { name: 'All', exact: true }).click();
    await page.keyboard.press('Delete');
    await page.locator('dialog').getByRole('button', { name: 'Erase for good' }).click();
    await until(() => mock.house.threads.size, 0);
    assert.equal(mock.house.runs.size, 0);
    assert.deepEqual(await page.locator('.notice.bad').allInnerTexts(), []);
  } },
  { name: 'storm: a conversation that was left for another room goes on being drawn when one comes back', options: { lang: 'en', rate: 60 }, async run({ page, mock }) {
    const [id] = mock.house.threads.keys();
    await page.locator(`[data-thread="${id}"]`).click();
    await page.locator('.md').first().waitFor();
    for (const [room, place] of [['Shelf', 'polka'], ['Living room', 'izba'], ['Machine room', 'maszynownia'], ['Living room', 'izba']]) { await page.getByRole('link', { name: room }).click(); await page.locator(`.place[data-room=${place}]`).waitFor(); }
    await box(page).fill('once more, long');
    await box(page).press('Enter');
    await page.locator('.mine', { hasText: 'once more, long' }).waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped.').waitFor();
    await answerDone(page);
  } },
  { name: 'storm: back and forth through rooms, conversations and dialogs while an answer comes', options: { lang: 'en', rate: 60 }, async run({ page, mock }) {
    const ids = [...mock.house.threads.keys()];
    await go(page, `#/izba/${ids[0]}`);
    await page.locator('.md').first().waitFor();
    await box(page).fill('a very long one');
    await box(page).press('Enter');
    await page.getByRole('button', { name: 'Stop' }).waitFor();
    for (const hash of [`#/izba/${ids[1]}`, '#/polka', '#/obok', `#/izba/${ids[0]}`, '#/maszynownia', `#/izba/${ids[2]}`]) await go(page, hash);
    for (let i = 0; i < 60; i++) {
      await page.evaluate((step) => history.go(step), i % 8 < 4 ? -1 : 1);
      if (i % 4 === 0) await page.keyboard.press(i % 8 === 0 ? 'Control+k' : 'Control+,');
      await page.waitForTimeout(i % 3 === 0 ? 60 : 5);
      if (i % 10 === 9) await page.keyboard.press('Escape');
    }
    for (let i = 0; i < 3; i++) { await page.keyboard.press('Escape'); await page.waitForTimeout(100); }
    await go(page, `#/izba/${ids[0]}`);
    await page.locator('.place[data-room=izba]').waitFor();
    await until(() => page.locator('dialog[open]').count(), 0);
    mock.house.options.rate = 100_000;
    await answerDone(page);
    const words = textOf([...mock.house.messages.values()].findLast((one) => one.thread === ids[0]));
    await until(async () => (await page.locator('.last .md').innerText()).length > words.length * 0.5, true);
    assert.equal(await page.locator('.last').count(), 1);
    assert.deepEqual(await page.locator('.notice').allInnerTexts(), []);
    assert.deepEqual(await page.locator('.list a[aria-current]').evaluateAll((all) => all.map((one) => one.dataset.thread)), [ids[0]]);
  } },
  ...both((lang, w) => ({ name: `storm: a room that does not come says so, and the page can be loaded anew (${lang})`, options: { lang }, async run({ page }) {
    await page.route('**/assets/Polka-*.js', (route) => route.abort());
    await go(page, '#/polka');
    await page.locator('.notice', { hasText: w('Ta izba się nie otworzyła.', 'This room did not open.') }).waitFor();
    await page.unroute('**/assets/Polka-*.js');
    await page.getByRole('button', { name: w('Wczytaj stronę od nowa', 'Load the page anew') }).click();
    await page.locator('.place[data-room=polka]').waitFor();
  } })),
  { name: 'storm: nothing is taller or wider than the window, in any room, theme and size', options: { lang: 'pl' }, async run({ page, mock }) {
    const [id] = mock.house.threads.keys();
    for (const hash of ['#/izba', `#/izba/${id}`, '#/izba/nowhere', '#/polka', '#/obok', '#/maszynownia']) {
      await go(page, hash);
      await page.locator(`.place[data-room=${hash.split('/')[1]}]`).waitFor();
      for (const [width, height] of [[1440, 900], [1366, 657], [820, 1180], [390, 844], [640, 360]]) {
        await page.setViewportSize({ width, height });
        for (const theme of ['watra', 'poranek', 'papier', 'kontrast']) {
          const over = await page.evaluate((worn) => { document.documentElement.dataset.theme = worn; return [document.documentElement, document.body].map((one) => [one.scrollHeight - innerHeight, one.scrollWidth - innerWidth]); }, theme);
          assert.deepEqual(over, [[0, 0], [0, 0]], `${hash} ${theme} ${width}x${height}`);
        }
      }
    }
  } },
  { name: 'storm: two tabs rename, pin and put away the same conversation at once: both end as the server has it', options: { lang: 'en' }, async run({ page, mock, home }) {
    const [id] = mock.house.threads.keys();
    await go(page, `#/izba/${id}`);
    await page.locator('.md').first().waitFor();
    const tab = await secondTab(page, home, `#/izba/${id}`);
    await tab.locator('.md').first().waitFor();
    const rename = async (where, to) => { await where.getByTitle('Change the title').click(); await where.getByLabel('Title of the conversation').fill(to); await where.keyboard.press('Enter'); };
    const act = async (where, name) => { await where.getByRole('button', { name: 'More about this conversation' }).click(); await where.getByRole('menuitem', { name }).click(); };
    for (let i = 0; i < 5; i++) await Promise.all([rename(page, `one ${i}`), rename(tab, `two ${i}`)]);
    await Promise.all([act(page, /^(Pin|Unpin)$/), act(tab, /^(Pin|Unpin)$/)]);
    await Promise.all([[page, 'left'], [tab, 'right']].map(async ([where, folder]) => { await act(where, 'Put into a folder…'); await where.getByLabel('Name of the folder').fill(folder); await where.keyboard.press('Enter'); }));
    await page.waitForTimeout(500);
    const thread = mock.house.threads.get(id);
    for (const where of [page, tab]) {
      await until(() => where.locator('h1.title').innerText(), thread.title);
      await until(() => where.locator(`[data-thread="${id}"] .name`).innerText(), thread.title);
      await until(() => where.locator(`[data-thread="${id}"]`).count(), 1);
      await where.getByRole('button', { name: 'More about this conversation' }).click();
      await where.getByRole('menuitem', { name: thread.pinned ? 'Unpin' : 'Pin' }).waitFor();
      await where.keyboard.press('Escape');
      await act(where, 'Put into a folder…');
      assert.equal(await where.getByLabel('Name of the folder').inputValue(), thread.folder);
      await where.keyboard.press('Escape');
      assert.deepEqual(await where.locator('.notice.bad').allInnerTexts(), []);
    }
  } },
];
