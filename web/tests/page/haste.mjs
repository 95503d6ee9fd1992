// The page in a hurry, and on a bad way to its server: keys held down, clicks doubled, rooms left in the middle, replies that never come.
import assert from 'node:assert/strict';

import { sticksOut } from './details.mjs';
import { answerDone, until } from './harness.mjs';

const box = (page) => page.getByRole('textbox', { name: 'Message' });
const both = (make) => ['pl', 'en'].map((lang) => make(lang, (pl, en) => (lang === 'pl' ? pl : en)));
const go = (page, hash) => page.evaluate((to) => { location.hash = to; }, hash);
const said = (mock, words) => [...mock.house.messages.values()].filter((one) => one.role === 'user' && one.parts.some((part) => part.text === words));
const answers = (mock) => [...mock.house.messages.values()].filter((one) => one.role === 'assistant').length;
const two = (mock) => [...mock.house.threads.keys()];
async function inFirst(page, mock) { await go(page, `#/izba/${two(mock)[0]}`); await page.locator('.md').first().waitFor(); }
/** Requests of this kind wait until the gate is opened. */
async function gate(page, address, method = 'POST') {
  let open = () => undefined;
  const opened = new Promise((done) => { open = done; });
  let came = () => undefined;
  const asked = new Promise((done) => { came = done; });
  await page.route(address, async (route) => { if (route.request().method() === method) { came(); await opened; } return route.continue(); });
  return { open, asked };
}

export const cases = [
  { name: 'in haste: Enter held down says it once, Ctrl+Enter held down asks once more once, a doubled click on Send stops nothing', options: { lang: 'en', rate: 100_000 }, async run({ page, mock }) {
    await box(page).fill('Hello');
    for (let i = 0; i < 20; i++) { await page.keyboard.down('Enter'); await page.waitForTimeout(15); }
    await page.keyboard.up('Enter');
    await answerDone(page);
    assert.equal(said(mock, 'Hello').length, 1);
    const before = answers(mock);
    await page.keyboard.down('Control');
    for (let i = 0; i < 40; i++) { await page.keyboard.down('Enter'); await page.waitForTimeout(25); }
    await page.keyboard.up('Enter');
    await page.keyboard.up('Control');
    await answerDone(page);
    assert.equal(answers(mock), before + 1);
    mock.house.options.rate = 60;
    await box(page).fill('Twice the click, very long');
    const place = await page.getByRole('button', { name: 'Send' }).boundingBox();
    await page.mouse.move(place.x + place.width / 2, place.y + place.height / 2);
    await page.mouse.down({ clickCount: 1 });
    await page.mouse.up({ clickCount: 1 });
    await page.getByRole('button', { name: 'Stop' }).waitFor();
    await page.mouse.down({ clickCount: 2 });
    await page.mouse.up({ clickCount: 2 });
    await until(async () => (await page.locator('.md').last().innerText()).length > 60, true);
    await page.getByRole('button', { name: 'Stop' }).dblclick();
    await page.getByText('Stopped.').waitFor();
    assert.equal(said(mock, 'Twice the click, very long').length, 1);
    assert.equal(await page.locator('.notice').count(), 0);
  } },
  ...both((lang, w) => ({ name: `in haste: nobody by the fire leaves no empty conversation; another than the one before is named, and one click goes back (${lang})`, options: { lang }, async run({ page, mock }) {
    const { house } = mock;
    const field = page.getByRole('textbox', { name: w('Wiadomość', 'Message') });
    const before = house.threads.size;
    house.engine = { state: 'empty', model: null, n_ctx: null, vision: false };
    await page.reload();
    await field.fill('cześć');
    await field.press('Enter');
    await page.getByText(w('Nikt nie siedzi przy ogniu: wybierz model na Półce. Słowa tu zaczekają.', 'Nobody sits by the fire: choose a model on the shelf. Your words wait here.')).first().waitFor();
    assert.equal(house.threads.size, before);
    assert.equal(await field.inputValue(), 'cześć');
    const [thread] = house.threads.values();
    const answer = [...house.messages.values()].findLast((one) => one.thread === thread.id && one.role === 'assistant');
    const other = house.models.find((one) => one.file && one.chat && !one.encoder && one.id !== answer.answer.model.id).id;
    thread.model = null;
    house.engine = { state: 'ready', model: other, n_ctx: 8192, vision: false };
    await page.reload();
    await go(page, `#/izba/${thread.id}`);
    const line = page.getByText(w('Ostatnio odpowiadał tu model', 'answered here last'));
    await line.waitFor();
    await page.getByRole('button', { name: w('Wróć do modelu', 'Back to') }).click();
    await line.waitFor({ state: 'detached' });
    await until(() => house.threads.get(thread.id).model, answer.answer.model.id);
  } })),
  { name: 'in haste: who goes elsewhere while a message is on its way stays there, and it is said where it was written', options: { lang: 'en' }, async run({ page, mock }) {
    await inFirst(page, mock);
    const [first, second] = two(mock);
    const turns = await gate(page, '**/turns');
    await box(page).fill('On a slow way');
    await box(page).press('Enter');
    await turns.asked;
    await page.locator(`[data-thread="${second}"]`).click();
    await page.locator('.log[aria-busy=false] .md').first().waitFor();
    turns.open();
    await until(() => said(mock, 'On a slow way').map((one) => one.thread), [first]);
    await page.waitForTimeout(400);
    assert.equal(await page.evaluate(() => location.hash), `#/izba/${second}`);
    assert.equal(await box(page).inputValue(), '');
  } },
  ...both((lang, w) => ({ name: `in haste: a message whose file is still coming does not go out of another conversation; it waits, and that is told (${lang})`, options: { lang, rate: 900 }, async run({ page, mock }) {
    const field = page.getByRole('textbox', { name: w('Wiadomość', 'Message') });
    const told = page.locator('.notice', { hasText: w('Nie wysłano, bo rozmowa nie była już otwarta.', 'Not sent: the conversation was left') });
    await inFirst(page, mock);
    const [first, second] = two(mock);
    mock.house.threads.get(second).draft = { text: 'not to be said yet', parts: [], at_ms: 1 };
    const files = await gate(page, '**/attachments');
    await page.evaluate(() => { const data = new DataTransfer(); data.items.add(new File(['Zagraj'], 'dog.md', { type: 'text/markdown' })); document.querySelector('.sheet').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })); });
    await field.fill('With a file');
    await field.press('Enter');
    await files.asked;
    await page.locator(`[data-thread="${second}"]`).click();
    await until(() => field.inputValue(), 'not to be said yet');
    files.open();
    await told.waitFor();
    assert.deepEqual([said(mock, 'not to be said yet').length, said(mock, 'With a file').length], [0, 0]);
    await until(() => [mock.house.threads.get(first).draft?.text, mock.house.threads.get(first).draft?.parts.length], ['With a file', 1]);
    await page.locator(`[data-thread="${first}"]`).click();
    await until(() => field.inputValue(), 'With a file');
    // So it is with the first words of a new one.
    await page.getByRole('button', { name: w('Nowa rozmowa', 'New conversation') }).first().click();
    const made = await gate(page, '**/watra/v1/threads');
    await field.fill('The first words');
    await field.press('Enter');
    await made.asked;
    await page.locator(`[data-thread="${second}"]`).click();
    await until(() => field.inputValue(), 'not to be said yet');
    made.open();
    await told.nth(1).waitFor();
    await until(() => mock.house.threads.size, 3); // nothing empty is left
    await page.getByRole('button', { name: w('Nowa rozmowa', 'New conversation') }).first().click();
    await until(() => field.inputValue(), 'The first words');
    await field.press('Enter');
    await until(() => said(mock, 'The first words').length, 1);
  } })),
  { name: 'in haste: first words go whole while the draft of the conversation before is still on its way', options: { lang: 'en', rate: 900 }, async run({ page, mock }) {
    await inFirst(page, mock);
    const saved = await gate(page, '**/watra/v1/threads/*', 'PATCH');
    await box(page).fill('left behind');
    await page.getByRole('button', { name: 'New conversation' }).first().click();
    await saved.asked;
    await until(() => box(page).inputValue(), '');
    await box(page).fill('Not lost');
    await box(page).press('Enter');
    await page.waitForTimeout(500);
    saved.open();
    await page.locator('.mine', { hasText: 'Not lost' }).waitFor();
    await until(() => mock.house.threads.get(two(mock)[0]).draft?.text, 'left behind');
  } },
  ...both((lang, w) => ({ name: `in haste: many files dropped at once keep their order, old encodings are read, what is no text or nothing is told (${lang})`, options: { lang, rate: 900 }, async run({ page, mock }) {
    const field = page.getByRole('textbox', { name: w('Wiadomość', 'Message') });
    const drop = (files) => page.evaluate((all) => {
      const data = new DataTransfer();
      for (const [name, content] of all) data.items.add(new File([typeof content === 'string' ? content : Uint8Array.from(content)], name, { type: 'text/plain' }));
      document.querySelector('.sheet').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
    }, files);
    await inFirst(page, mock);
    await drop([['nothing.txt', ''], ['picture.txt', Array.from({ length: 4000 }, (_, i) => (i * 37) % 256)]]);
    await page.locator('.notice', { hasText: w('Plik nothing.txt jest pusty.', 'nothing.txt is empty.') }).waitFor();
    await page.locator('.notice', { hasText: w('picture.txt nie jest plikiem tekstowym.', 'picture.txt is not a text file.') }).waitFor();
    const late = await gate(page, '**/attachments');
    const names = Array.from({ length: 20 }, (_, i) => `${i}.md`);
    await drop([['stary.txt', [0xb3, 0xf3, 0x64, 0x9f]], ...names.map((name) => [name, `Words of ${name}`])]); // "łódź" as Windows wrote it
    await late.asked;
    late.open();
    await until(() => page.locator('.files .chip').allInnerTexts().then((all) => all.map((one) => one.split(' ')[0])), ['stary.txt', ...names]);
    assert.ok((await page.locator('.composer').boundingBox()).height < 450);
    await field.fill('Read them');
    await field.press('Enter');
    await until(() => said(mock, 'Read them').length, 1);
    const parts = said(mock, 'Read them')[0].parts.filter((part) => part.type === 'attachment');
    assert.deepEqual(parts.map((part) => part.name), ['stary.txt', ...names]);
    assert.equal(parts[0].bytes, 7); // four letters, three of which take two bytes in UTF-8
  } })),
  ...[[640, 400, 170], [320, 256, 90], [320, 640, 250]].flatMap(([width, height, lines]) => both((lang, w) => ({ name: `enlarged to ${width} by ${height} every room can be read and the composer used (${lang})`, options: { lang, rate: 900 }, view: { viewport: { width, height }, deviceScaleFactor: 2 }, async run({ page, mock }) {
    for (const room of ['polka', 'obok', 'maszynownia', 'izba']) {
      await go(page, `#/${room}`);
      await page.waitForSelector(`.place[data-room=${room}]`);
      await until(() => sticksOut(page), []);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), room);
    }
    await inFirst(page, mock);
    await until(() => sticksOut(page), []);
    const field = page.getByRole('textbox', { name: w('Wiadomość', 'Message') });
    await until(() => page.locator('.log').evaluate((log, least) => log.clientHeight >= least, lines), true);
    await field.fill('One\ntwo');
    const send = await page.getByRole('button', { name: w('Wyślij', 'Send') }).boundingBox();
    assert.ok((await field.boundingBox()).width > 125, 'no room to write in');
    assert.ok(send.x + send.width <= width && send.y + send.height <= height, 'the button is out of the window');
    await page.getByRole('button', { name: w('Wyślij', 'Send') }).click();
    await until(() => said(mock, 'One\ntwo').length, 1);
    await answerDone(page);
    for (const name of [w('Półka', 'Shelf'), w('Izba', 'Living room')]) { // the field gives the keyboard back; it takes it once more when its words have gone
      await until(async () => { await page.evaluate(() => document.activeElement?.blur()); return page.getByRole('link', { name }).isVisible(); }, true);
      await page.getByRole('link', { name }).click();
    }
    await field.waitFor();
  } }))),
  { name: 'a bad way: a reply that is lost is asked for again, and nothing is said twice', options: { lang: 'en', rate: 900 }, async run({ page, mock }) {
    await inFirst(page, mock);
    let n = 0;
    await page.route('**/turns', async (route) => { if (++n !== 1) return route.continue(); await route.fetch(); return route.abort('connectionreset'); });
    await box(page).fill('Said once');
    await box(page).press('Enter');
    await answerDone(page);
    assert.deepEqual([said(mock, 'Said once').length, n], [1, 2]);
    assert.equal(await box(page).inputValue(), '');
    assert.equal(await page.locator('.notice').count(), 0);
    // Never answered: the words come back, and leave the field again when it shows that they were heard.
    await page.unroute('**/turns');
    await page.route('**/turns', async (route) => { await new Promise((done) => setTimeout(done, 100)); return route.abort('connectionreset'); });
    await box(page).fill('Heard after all');
    await box(page).press('Enter');
    await page.locator('.notice', { hasText: 'The server does not answer.' }).waitFor();
    await until(() => box(page).inputValue(), 'Heard after all');
    await page.unroute('**/turns');
    await page.evaluate(() => { const id = location.hash.split('/')[2]; return fetch(`/watra/v1/threads/${id}`).then((answer) => answer.json()).then(({ thread }) => fetch(`/watra/v1/threads/${id}/turns`, { method: 'POST', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify({ client_id: 'elsewhere', parent: thread.head, parts: [{ type: 'text', text: 'Heard after all' }] }) })); });
    await page.locator('.mine', { hasText: 'Heard after all' }).waitFor();
    await until(() => box(page).inputValue(), '');
  } },
  { name: 'a bad way: what is written while nobody answers is kept once somebody does; a file whose way broke is sent again', options: { lang: 'en', rate: 900 }, async run({ page, mock }) {
    await inFirst(page, mock);
    const gone = [/watra.v1.threads/, /watra.v1.events/];
    for (const address of gone) await page.route(address, (route) => route.abort('connectionrefused'));
    for (const stream of mock.house.streams) stream.destroy();
    await page.getByText('The server went silent').waitFor();
    await box(page).fill('Into the silence');
    await page.waitForTimeout(1200);
    for (const address of gone) await page.unroute(address);
    await page.getByText('The server went silent').waitFor({ state: 'detached' });
    await until(() => mock.house.threads.get(two(mock)[0]).draft?.text, 'Into the silence');
    let n = 0;
    await page.route('**/attachments', (route) => (++n === 1 ? route.abort('connectionreset') : route.continue()));
    await page.evaluate(() => { const data = new DataTransfer(); data.items.add(new File(['Zagraj'], 'dog.md', { type: 'text/markdown' })); document.querySelector('.sheet').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })); });
    await page.locator('.files .chip button').waitFor();
    assert.deepEqual([n, await page.locator('.notice').count()], [2, 0]);
  } },
  { name: 'in colours that the system forces, no sign stands on a picture, and the room one is in can be told', options: { lang: 'en' }, view: { forcedColors: 'active' }, async run({ page }) {
    for (const room of ['polka', 'maszynownia']) {
      await go(page, `#/${room}`);
      await page.waitForSelector(`.place[data-room=${room}] .framed`);
      const grounds = await page.locator('.framed').evaluateAll((all) => all.map((one) => { const { backgroundColor, backgroundImage } = getComputedStyle(one); return backgroundImage === 'none' && !/, 0\)$/.test(backgroundColor); }));
      assert.ok(grounds.length > 0 && grounds.every(Boolean), `${room}: a frame that can be seen through`);
      const edges = await page.locator('.rail a').evaluateAll((all) => all.map((one) => [one.hasAttribute('aria-current'), getComputedStyle(one).outlineStyle === 'solid']));
      assert.ok(edges.every(([current, edge]) => current === edge), `${room}: ${edges}`);
    }
  } },
  { name: 'a browser that keeps nothing: the page opens, and a message is answered', options: { lang: 'en', rate: 900 }, async run({ page, mock }) {
    await page.addInitScript(() => { for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(globalThis, name, { get() { throw new DOMException('denied', 'SecurityError'); } }); });
    await page.reload();
    await box(page).fill('Nothing is kept');
    await box(page).press('Enter');
    await answerDone(page);
    assert.equal(said(mock, 'Nothing is kept').length, 1);
  } },
  { name: 'a bad way: an address that was cut or mistyped leads to a page that stands', options: { lang: 'en' }, async run({ page, mock }) {
    for (const hash of ['#/izba/%E0%A4%A', '#/izba/..%2f..%2fhouse', `#/izba/${'x'.repeat(3000)}`, '#/izba/%00']) {
      await go(page, hash);
      await page.reload();
      await page.locator('.gone').waitFor();
    }
    await go(page, '#/nowhere/at/all');
    await page.reload();
    await box(page).waitFor();
    await inFirst(page, mock);
  } },
  { name: 'a bad way: two tabs begin a conversation each, and neither takes the other’s words', options: { lang: 'en', rate: 900 }, async run({ page }) {
    const other = await page.context().newPage();
    await other.goto(page.url());
    await box(page).pressSequentially('from the first');
    await page.waitForTimeout(900);
    await box(other).fill('from the second');
    await other.waitForTimeout(900);
    await page.reload();
    await until(() => box(page).inputValue(), 'from the first');
    await box(other).press('Enter');
    await answerDone(other);
    await page.reload();
    await until(() => box(page).inputValue(), 'from the first');
    await other.close();
  } },
];
