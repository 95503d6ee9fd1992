// The walk through a real server with smollm2: the same page, answers nobody wrote beforehand.
import assert from 'node:assert/strict';

import { answerDone, savePersona, until } from './harness.mjs';

const composer = (page) => page.getByRole('textbox', { name: 'Message' });
const last = (page) => page.locator('.row-in:not(.mine)').last();
const words = (page) => last(page).locator('.md').innerText();
async function say(page, text) { await composer(page).fill(text); await page.getByRole('button', { name: 'Send' }).click(); }
const inside = async (page) => { await page.getByRole('textbox', { name: 'Message' }).waitFor(); };
const change = (page, values) => page.evaluate((body) => fetch('/watra/v1/settings', { method: 'PATCH', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify(body) }), values);
/** The same answer each time, and one that ends: a small model left to itself may speak until its memory is full. */
const briefly = (page) => change(page, { 'sampling.seed': 7, 'sampling.max_tokens': 200 });
/** So short that all of a conversation stays in view: rows far above what is read are not drawn. */
const inAWord = (page) => change(page, { 'sampling.seed': 7, 'sampling.max_tokens': 24 });
/** A house for what is stopped, left or killed in the middle: its model counts to the end of its memory at the pace of the machine. Of smollm2,
    that repeats itself, so much is guessed right that its answer may be over before a browser has clicked. */
const SLOW = { model: 'qwen2.5-coder-0.5b', args: ['--draft', 'none'] };
const COUNT = 'Count from 1 to 5000 in digits, one number a line. Write every number. Do not stop and do not explain.';
/** For COUNT: the same each time, and as much as the memory of the conversation holds. */
const atLength = (page) => change(page, { 'sampling.temperature': 0, 'sampling.max_tokens': 3600 });
/** How much stands of the answer at the end. */
const shownLength = (page) => page.evaluate(() => [...document.querySelectorAll('.row-in:not(.mine)')].at(-1)?.querySelector('.md')?.textContent.length ?? 0);
/** The answer at the end is longer than `was` and goes on: it may be stopped, left or killed now. */
async function goesOn(page, was) {
  await page.waitForFunction((n) => ([...document.querySelectorAll('.row-in')].at(-1)?.querySelector('.md')?.textContent.length ?? 0) > n, was, { polling: 50 });
  assert.ok(await page.getByRole('button', { name: 'Stop' }).isVisible(), `the answer was over after ${await shownLength(page)} characters`);
}
/** Past the first start, by the same request the page itself makes. */
async function settle(page) {
  await change(page, { 'house.first_start_done': true });
  await briefly(page);
  await page.reload();
  await inside(page);
}

const choose = async (page, item) => { await last(page).getByRole('button', { name: 'More', exact: true }).click(); await page.getByRole('menuitem', { name: item, exact: true }).click(); };

export const cases = [
  { name: 'real: first start, the model is by the fire, hello', async run({ page }) {
    await page.getByRole('button', { name: 'In English' }).click();
    await page.getByRole('button', { name: 'Let us light the fire' }).click();
    await page.getByRole('button', { name: 'Choose a model' }).click();
    await page.getByText('English only').first().waitFor();
    await page.getByRole('button', { name: /^(Go on|Later)$/ }).click();
    await page.getByRole('button', { name: 'Step inside' }).click();
    await inside(page);
    await briefly(page);
    await say(page, 'Say hello.');
    await answerDone(page);
    assert.ok((await words(page)).length > 1);
  } },
  { name: 'real: chat, facts, inspector', async run({ page }) {
    await settle(page);
    await say(page, 'Name three colours.');
    await answerDone(page);
    await page.locator('button.facts').last().click();
    assert.match(await page.locator('dl').last().innerText(), /SmolLM2/i);
    await last(page).getByRole('button', { name: 'More', exact: true }).click();
    await page.getByRole('menuitem', { name: 'What the model saw' }).click();
    await page.locator('.span.content', { hasText: 'Name three colours.' }).waitFor();
  } },
  { name: 'real: an answer begins with given words, is edited and goes on; many conversations are put away and brought back', async run({ page }) {
    await settle(page);
    await inAWord(page);
    await page.getByRole('button', { name: 'Beginning of the answer' }).click();
    await page.getByRole('textbox', { name: 'The answer begins with' }).fill('Of all the cities, it is');
    await say(page, 'What is the capital of France?');
    await answerDone(page);
    await until(async () => (await words(page)).startsWith('Of all the cities, it is') && (await words(page)).length > 28, true);
    await choose(page, 'What the model saw');
    await page.locator('.span.content', { hasText: 'Of all the cities, it is' }).getByText('beginning of the answer').waitFor();
    await page.keyboard.press('Escape');
    await last(page).getByRole('button', { name: 'Edit', exact: true }).click();
    await page.getByRole('textbox', { name: 'Text being edited' }).fill('The capital of France is called');
    await page.getByRole('button', { name: 'Save and continue' }).click();
    await page.getByText('2/2').waitFor();
    await answerDone(page);
    await until(async () => /^The capital of France is called.*Paris/s.test(await words(page)), true);
    await page.reload();
    await page.getByText('2/2').waitFor();
    await last(page).getByText('edited', { exact: true }).waitFor();
    const rows = page.locator('.list [data-thread]');
    await page.locator('.list').getByRole('button', { name: 'Select several' }).click();
    await rows.first().click();
    await page.getByRole('toolbar').getByRole('button', { name: 'Put into the archive' }).click();
    await until(() => rows.count(), 0);
    await page.getByRole('button', { name: 'Undo' }).click();
    await until(() => rows.count(), 1);
  } },
  { name: 'real: edit and branch, once more, leafing survives a reload', async run({ page }) {
    await settle(page);
    await say(page, 'First words');
    await answerDone(page);
    await page.locator('.mine').getByRole('button', { name: 'Edit' }).click();
    await page.getByRole('textbox', { name: 'Text being edited' }).fill('Second words');
    await page.getByRole('button', { name: 'Send edited' }).click();
    await page.getByText('2/2').waitFor();
    await answerDone(page);
    await page.getByRole('button', { name: 'Previous version' }).click();
    await page.locator('.mine', { hasText: 'First words' }).waitFor();
    await last(page).getByRole('button', { name: 'Once more' }).click();
    await page.locator('.row-in:not(.mine)').getByText('2/2').waitFor();
    await answerDone(page);
    await page.reload();
    await page.locator('.mine', { hasText: 'First words' }).waitFor();
  } },
  { name: 'real: stop, continue, reload in mid-answer', options: SLOW, async run({ page }) {
    await settle(page);
    await atLength(page);
    await say(page, COUNT);
    await goesOn(page, 40);
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped.').waitFor();
    const kept = await words(page);
    await page.getByRole('button', { name: 'Continue' }).click();
    await goesOn(page, await shownLength(page));
    await page.reload();
    await page.locator('.md > *').first().waitFor();
    await goesOn(page, await shownLength(page)); // before the eyes of whoever came back
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped.').waitFor();
    assert.ok((await words(page)).startsWith(kept), 'what was said before the stop is gone');
  } },
  { name: 'real: search without marks, the title, the hit', async run({ page }) {
    await settle(page);
    await inAWord(page);
    await say(page, 'Opowiedz o Łodzi.');
    await answerDone(page);
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Search and act' }).fill('lodz');
    const options = page.locator('[role=option]');
    await options.filter({ hasNot: page.locator('.snippet'), hasText: 'Opowiedz o Łodzi' }).first().waitFor(); // the conversation by its title
    const hit = options.filter({ has: page.locator('.snippet', { hasText: 'Opowiedz o Łodzi.' }) }); // the question; what a small model answers may hold the word or not
    assert.equal(await hit.locator('mark').innerText(), 'Łodz');
    await hit.click();
    await page.getByRole('combobox', { name: 'Search and act' }).waitFor({ state: 'detached' });
    await page.locator('.mine', { hasText: 'Opowiedz o Łodzi.' }).waitFor();
  } },
  { name: 'real: compare two, blind, vote, go on', async run({ page }) {
    await settle(page);
    await page.getByRole('link', { name: /Side by side/ }).click();
    await page.getByLabel('Question', { exact: true }).fill('Say one word.');
    await page.getByRole('button', { name: 'Ask', exact: true }).click();
    await page.getByText('Which answer is better?').waitFor();
    assert.equal(await page.locator('.column', { hasText: /SmolLM2|Qwen/i }).count(), 0, 'a name is shown while it is blind');
    await page.getByRole('button', { name: 'I choose A' }).click();
    await page.locator('.column', { hasText: /SmolLM2|Qwen/i }).first().waitFor();
    await page.getByRole('button', { name: 'Go on talking' }).first().click();
    await page.locator('.mine', { hasText: 'Say one word.' }).waitFor();
  } },
  { name: 'real: the shelf loads another model', async run({ page }) {
    await settle(page);
    await page.getByRole('link', { name: /Shelf/ }).click();
    const coder = page.getByRole('article', { name: /0\.5B/ });
    await coder.getByRole('button', { name: 'Load', exact: true }).click();
    await coder.getByText('by the fire').waitFor();
  } },
  { name: 'real: theme and language stay, the machine room draws', async run({ page }) {
    await settle(page);
    await page.keyboard.press('Control+,');
    await page.getByRole('radio', { name: 'Paper' }).click();
    await page.waitForFunction(() => document.documentElement.dataset.theme === 'papier');
    await page.keyboard.press('Escape');
    await page.waitForTimeout(500);
    await page.reload();
    await inside(page);
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'papier');
    await page.getByRole('link', { name: /Machine room/ }).click();
    await page.waitForSelector('.plot canvas');
    await page.getByText('Nobody waits.').waitFor();
  } },
  { name: 'real: kill -9 in mid-answer, what was shown is kept, continue goes on', options: SLOW, async run({ page, mock }) {
    await settle(page);
    await atLength(page);
    await say(page, COUNT);
    await goesOn(page, 60);
    await mock.kill();
    await page.getByText('The server went silent').waitFor();
    const shown = (await words(page)).replace(/\s+/g, ' ').trim();
    await mock.start();
    await page.getByText('Interrupted in mid-word').waitFor();
    assert.ok((await words(page)).replace(/\s+/g, ' ').startsWith(shown.slice(0, -1)), 'words that were shown are gone');
    await briefly(page);
    await page.getByRole('button', { name: 'Continue' }).click();
    await answerDone(page);
    await page.getByText('Interrupted in mid-word').waitFor({ state: 'detached' });
    assert.ok((await words(page)).replace(/\s+/g, ' ').length > shown.length, 'it did not go on');
  } },
  { name: 'real: the way to the server dies without a word in mid-answer, breaks, and comes back: it is told, and every word is there once', options: { ...SLOW, road: true }, async run({ page, mock }) {
    await settle(page);
    await atLength(page);
    await say(page, COUNT);
    await goesOn(page, 60);
    const silent = page.getByText('The server went silent');
    mock.road.still();
    await silent.waitFor();
    await page.getByText('The rest shows when the server is back.').waitFor();
    mock.road.cut();
    await page.waitForTimeout(3000);
    const was = await shownLength(page);
    mock.road.mend();
    await silent.waitFor({ state: 'detached' });
    await goesOn(page, was);
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped.').waitFor();
    const kept = await page.evaluate(() => fetch(`/watra/v1/threads/${location.hash.split('/')[2]}/messages`).then((r) => r.json()));
    const whole = kept.messages.at(-1).parts.map((part) => part.text).join('').replace(/\s+/g, '');
    await until(() => page.evaluate(() => [...document.querySelectorAll('.row-in:not(.mine)')].at(-1).querySelector('.md').textContent.replace(/\s+/g, '')), whole);
  } },
  { name: 'real: a model put to sleep, and another one called, in mid-answer: both wait for its end, and that is told', options: SLOW, async run({ page }) {
    await settle(page);
    await atLength(page);
    await say(page, COUNT);
    await goesOn(page, 40);
    await page.getByRole('link', { name: /Shelf/ }).click();
    await page.getByRole('article', { name: /0\.5B/ }).getByRole('button', { name: 'Put to sleep' }).click();
    await page.getByRole('article', { name: /0\.5B/ }).getByText('falls asleep when the answer under way is written').waitFor();
    await page.getByRole('article', { name: /SmolLM2/ }).getByRole('button', { name: 'Load', exact: true }).click();
    await page.getByRole('article', { name: /SmolLM2/ }).getByText('comes when the answer under way is written').waitFor();
    await page.getByRole('link', { name: /Living room/ }).click();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped.').waitFor();
    await page.getByRole('link', { name: /Shelf/ }).click();
    await page.getByRole('article', { name: /SmolLM2/ }).getByText('by the fire').waitFor();
  } },
  { name: 'real: quote, pin, once more with another model and other settings, fork', async run({ page }) {
    await settle(page);
    await inAWord(page);
    await say(page, 'Name three colours.');
    await answerDone(page);
    await choose(page, 'Quote');
    await say(page, 'Why these?');
    await answerDone(page);
    await until(() => page.locator('.row-in.mine .ref').count(), 1);
    await choose(page, 'Pin');
    await last(page).locator('header [aria-label=Pinned]').waitFor();
    await choose(page, 'Once more, differently…');
    const panel = page.getByRole('dialog');
    const coder = await panel.locator('label.model option', { hasText: /0\.5B/i }).first().getAttribute('value');
    await panel.locator('label.model select').selectOption(coder);
    await panel.getByLabel('Temperature', { exact: true }).first().fill('0.35');
    await panel.getByLabel('Temperature', { exact: true }).first().press('Tab');
    await panel.getByRole('button', { name: 'Once more' }).click();
    await last(page).getByText('2/2').waitFor();
    await answerDone(page);
    await page.locator('button.facts').last().click();
    const facts = await page.locator('dl').last().innerText();
    assert.match(facts, /0\.5B/i);
    assert.match(facts, /temperature 0\.35/);
    await choose(page, 'New conversation from here');
    await page.getByText('A new conversation begins here.').first().waitFor();
    const copied = await page.evaluate(() => fetch(`/watra/v1/threads/${location.hash.split('/')[2]}/messages`).then((r) => r.json())); // rows far from the window are not in the document
    assert.ok(copied.messages.length >= 4 && copied.messages.some((m) => m.parts.some((p) => p.text === 'Why these?')), 'the new conversation lacks what was said');
  } },
  { name: 'real: a text file dropped in is read by the model', async run({ page }) {
    await settle(page);
    await page.evaluate(() => { const data = new DataTransfer(); data.items.add(new File(['The dog of the shepherd is called Zagraj.'], 'dog.md', { type: 'text/markdown' })); document.querySelector('.sheet').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })); });
    await page.getByText(/dog\.md/).waitFor();
    await say(page, 'What is the name of the dog?');
    await answerDone(page);
    await choose(page, 'What the model saw');
    await page.locator('.span.content', { hasText: 'is called Zagraj' }).waitFor();
  } },
  { name: 'real: a sent message leaves no draft behind, a typed one comes back', async run({ page }) {
    await settle(page);
    await say(page, 'Say one word.');
    await answerDone(page);
    await composer(page).pressSequentially('to be sent', { delay: 15 });
    await page.waitForTimeout(1200);
    await composer(page).press('Enter');
    await answerDone(page);
    await page.reload();
    await page.locator('.mine', { hasText: 'to be sent' }).waitFor();
    assert.equal(await composer(page).inputValue(), '');
    await composer(page).pressSequentially('to be kept', { delay: 15 });
    await until(() => page.evaluate(() => fetch(`/watra/v1/threads/${location.hash.split('/')[2]}`).then((r) => r.json()).then((a) => a.thread.draft?.text)), 'to be kept');
    await page.reload();
    await page.waitForFunction(() => document.querySelector('.composer textarea')?.value === 'to be kept');
  } },
  { name: 'real: with and without a persona, an answer from elsewhere, the table', async run({ page }) {
    await settle(page);
    await savePersona(page, 'Baca', 'You are an old shepherd. You speak little.');
    await page.getByRole('link', { name: /Side by side/ }).click();
    await page.getByLabel('Question', { exact: true }).fill('Who are you?');
    const smol = await page.getByLabel('Model A').locator('option', { hasText: /SmolLM2/i }).first().getAttribute('value');
    for (const label of ['Model A', 'Model B']) await page.getByLabel(label, { exact: true }).selectOption(smol);
    await page.getByLabel('Persona').nth(1).selectOption({ label: 'Baca' });
    await page.getByRole('checkbox').uncheck();
    await page.getByRole('button', { name: 'Ask', exact: true }).click();
    await page.getByText('Which answer is better?').waitFor();
    await page.locator('.column', { hasText: 'Baca' }).waitFor();
    await page.getByRole('button', { name: 'Paste an answer from elsewhere' }).click();
    await page.getByLabel('Where this answer is from').fill('A friend');
    await page.getByLabel('Answer', { exact: true }).fill('I am a friend.');
    await page.getByRole('button', { name: 'Add the column' }).click();
    await page.locator('.column', { hasText: 'I am a friend.' }).waitFor();
    await page.getByRole('button', { name: 'I choose C' }).click();
    await page.locator('.column.best', { hasText: 'A friend' }).waitFor();
    await page.getByRole('button', { name: 'Save the table' }).click();
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: 'Table, CSV' }).click()]);
    const { readFile } = await import('node:fs/promises');
    const table = await readFile(await file.path(), 'utf8');
    for (const word of ['Who are you?', 'I am a friend.', 'A friend']) assert.ok(table.includes(word), `the table lacks ${word}`);
  } },
  { name: 'real: a whole set of questions', async run({ page }) {
    await settle(page);
    await page.getByRole('link', { name: /Side by side/ }).click();
    for (const question of ['Say yes.', 'Say no.']) {
      await page.getByLabel('Question', { exact: true }).fill(question);
      await page.getByRole('button', { name: 'Keep the question' }).click();
      await page.locator('.sets li', { hasText: question }).waitFor();
    }
    await page.locator('.sets details', { hasText: 'My questions' }).getByRole('button', { name: 'Ask the whole set' }).click();
    for (const question of ['Say yes.', 'Say no.']) await page.locator('ul li.paper', { hasText: question }).waitFor();
    await page.getByText('Question 2 of 2').waitFor({ state: 'detached' });
  } },
  { name: 'real: by the keyboard alone', options: SLOW, async run({ page }) {
    await settle(page);
    await atLength(page);
    const focused = (name) => page.waitForFunction((n) => document.activeElement?.getAttribute('aria-label') === n, name);
    await page.keyboard.press('Control+Shift+O');
    await focused('Message');
    await page.keyboard.type(COUNT);
    await page.keyboard.press('Enter');
    await goesOn(page, 20);
    await page.keyboard.press('Escape');
    await page.getByText('Stopped.').waitFor();
    await focused('Message');
    await page.keyboard.press('ArrowUp');
    await focused('Text being edited');
    await briefly(page);
    await page.keyboard.press('Control+A');
    await page.keyboard.type('Say hello.');
    await page.keyboard.press('Control+Enter');
    await page.getByText('2/2').waitFor();
    await answerDone(page);
    // The last message's menu is reached by Tab, walked by arrows, left by Escape, and the focus comes back.
    await last(page).getByRole('button', { name: 'Copy', exact: true }).last().focus();
    for (let i = 0; i < 6 && await page.evaluate(() => document.activeElement?.getAttribute('aria-label')) !== 'More'; i++) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('menuitem').first().waitFor();
    await page.waitForFunction(() => document.activeElement?.getAttribute('role') === 'menuitem'); // it takes the focus once it is open
    await page.keyboard.press('ArrowDown');
    await page.waitForFunction(() => document.activeElement?.getAttribute('role') === 'menuitem');
    await page.keyboard.press('Escape');
    await focused('More');
    await page.keyboard.press('Control+2');
    await page.locator('[data-room=polka]').waitFor();
    await page.keyboard.press('Control+K');
    await focused('Search and act');
    await page.keyboard.type('Machine room');
    await page.keyboard.press('Enter');
    await page.locator('[data-room=maszynownia]').waitFor();
    await page.keyboard.press('?');
    await page.getByRole('dialog').locator('kbd').first().waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+,');
    await page.getByRole('radio', { name: 'Paper' }).focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.documentElement.dataset.theme === 'papier');
  } },
  { name: 'real: a Polish phone', options: { lang: 'pl' }, view: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, locale: 'pl-PL' }, async run({ page }) {
    await page.getByRole('button', { name: 'Rozpalmy ogień' }).click();
    await page.getByRole('button', { name: 'Wybierzmy model' }).click();
    await page.getByRole('button', { name: /^(Dalej|Później)$/ }).click();
    await page.getByRole('button', { name: 'Wejdź do izby' }).click();
    await briefly(page);
    const field = page.getByRole('textbox', { name: 'Wiadomość' });
    await field.fill('Say hello.');
    await page.getByRole('button', { name: 'Wyślij' }).click();
    await answerDone(page);
    const wide = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(await wide() <= 0, 'something sticks out');
    for (const room of ['Półka', 'Obok siebie', 'Maszynownia']) {
      await page.getByRole('link', { name: room }).click();
      await page.waitForTimeout(500);
      assert.ok(await wide() <= 0, `${room}: something sticks out`);
    }
    await page.getByRole('button', { name: 'Ustawienia' }).click();
    await page.getByRole('radio', { name: 'Poranek na hali' }).click();
    await page.waitForFunction(() => document.documentElement.dataset.theme === 'poranek');
  } },
  { name: 'real: presets, a folder, the archive, a theme and a view of one’s own', async run({ page }) {
    await settle(page);
    await say(page, 'Say one word.');
    await answerDone(page);
    await page.getByRole('button', { name: 'How it speaks' }).click();
    await page.getByLabel('Hint to the model').fill('Answer briefly.');
    await page.getByRole('button', { name: 'Story', exact: true }).click();
    await page.getByLabel('Temperature', { exact: true }).first().fill('0.55');
    await page.getByLabel('Temperature', { exact: true }).first().press('Tab');
    await page.getByRole('button', { name: 'Keep these settings' }).click();
    await page.getByLabel('What shall they be called?').fill('Halfway');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('button', { name: 'Halfway', exact: true }).waitFor();
    await page.keyboard.press('Escape');
    const more = page.getByRole('button', { name: 'More about this conversation' });
    await more.click();
    await page.getByRole('menuitem', { name: 'Put into a folder…' }).click();
    await page.getByLabel('Name of the folder').fill('Fires');
    await page.getByRole('button', { name: 'Put there' }).click();
    await page.locator('.list h2', { hasText: 'Fires' }).waitFor();
    await more.click();
    await page.getByRole('menuitem', { name: 'Put into the archive' }).click();
    await page.getByRole('button', { name: 'Archive', exact: true }).click();
    await page.locator('.list ul a').first().waitFor();
    await page.keyboard.press('Control+,');
    await page.getByLabel('View from the window', { exact: true }).selectOption('mist');
    await page.getByRole('button', { name: 'A theme of your own' }).click();
    await page.getByLabel('ember', { exact: true }).fill('#7fb0ff');
    await page.waitForFunction(() => getComputedStyle(document.documentElement).getPropertyValue('--ember').trim().toLowerCase() === '#7fb0ff');
    await until(() => page.evaluate(() => fetch('/watra/v1/settings').then((r) => r.json()).then((a) => a.values['look.custom_theme']?.tokens.ember?.toLowerCase())), '#7fb0ff');
    await page.reload();
    await inside(page);
    assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--ember').trim().toLowerCase()), '#7fb0ff');
  } },
  { name: 'real: everything is taken along and brought back', async run({ page }) {
    await settle(page);
    await say(page, 'Remember the word: szarotka.');
    await answerDone(page);
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: 'Door and data' }).click();
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Take everything (zip)' }).click()]);
    const { readFile } = await import('node:fs/promises');
    const zip = await readFile(await file.path());
    assert.equal(zip.subarray(0, 2).toString(), 'PK');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'More about this conversation' }).click();
    await page.getByRole('menuitem', { name: 'Erase the conversation' }).click();
    await page.getByRole('button', { name: 'Erase for good' }).click();
    await page.locator('.list ul a').first().waitFor({ state: 'detached' });
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: 'Door and data' }).click();
    await page.locator('dialog input[type=file]').setInputFiles({ name: 'watra.zip', mimeType: 'application/zip', buffer: zip });
    await page.getByText('Brought: 1 conversation, 2 messages.').first().waitFor();
    await page.keyboard.press('Escape');
    await page.locator('.list ul a').first().click();
    await page.locator('.mine', { hasText: 'szarotka' }).waitFor();
  } },
  { name: 'real: what another program exported comes in, is found, and is taken back', async run({ page }) {
    await settle(page);
    const node = (parent, role, text) => ({ parent, message: { author: { role }, create_time: 1.7e9, content: { content_type: 'text', parts: [text] } } });
    const talks = [{ title: 'Stara rozmowa', conversation_id: 'x', current_node: 'a', mapping: { q: node(null, 'user', 'Skąd wieje halny?'), a: node('q', 'assistant', 'Z południa, przez Łysą Przełęcz.') } }];
    const door = async () => { await page.keyboard.press('Control+,'); await page.getByRole('tab', { name: 'Door and data' }).click(); };
    const bring = (buffer) => page.locator('dialog input[type=file]').setInputFiles({ name: 'conversations.json', mimeType: 'application/json', buffer });
    await door();
    await bring(Buffer.from('{"nothing": 1}'));
    await page.getByText(/The conversations could not be brought. This file cannot be read/).first().waitFor();
    await bring(Buffer.from(JSON.stringify(talks)));
    await page.getByText('Brought: 1 conversation, 2 messages.').first().waitFor();
    await page.keyboard.press('Escape');
    await page.locator('.list a', { hasText: 'Stara rozmowa' }).waitFor();
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Search and act' }).fill('lysa');
    await page.locator('[role=option]', { has: page.locator('mark') }).first().click();
    await page.locator('.row-in', { hasText: 'Łysą' }).waitFor();
    await door();
    await bring(Buffer.from(JSON.stringify(talks)));
    await page.getByText('There is nothing new in this file.').first().waitFor(); // nothing is doubled
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('.list a', { hasText: 'Stara rozmowa' }).count(), 1);
  } },
  { name: 'real: po polsku: a model is chosen at the first start, speaks, and sits there at the next one', options: { lang: '', model: null }, view: { locale: 'pl-PL' }, async run({ page, mock }) {
    await page.getByRole('button', { name: 'Rozpalmy ogień' }).click();
    await page.getByRole('button', { name: 'Wybierzmy model' }).click();
    await page.getByRole('button', { name: 'Później' }).waitFor();
    await page.locator('summary', { hasText: 'Inny model, po nazwie albo adresie' }).click();
    await page.getByLabel('Nazwa albo adres modelu').fill('taki-co-go-nie-ma');
    await page.getByRole('button', { name: 'Pobierz' }).click();
    await page.getByText('Nie znam takiego modelu.').first().waitFor();
    await page.getByRole('button', { name: /SmolLM2/ }).click();
    await page.getByText('siedzi już przy ogniu').waitFor();
    await page.getByRole('button', { name: 'Wejdź do izby' }).click();
    await briefly(page);
    const field = page.getByRole('textbox', { name: 'Wiadomość' });
    await field.fill('Say hello.');
    await page.getByRole('button', { name: 'Wyślij' }).click();
    await answerDone(page);
    await mock.kill();
    await page.getByText('Serwer zamilkł').waitFor();
    await mock.start();
    await page.getByText('Serwer zamilkł').waitFor({ state: 'detached' });
    await page.waitForFunction(() => fetch('/watra/v1/house').then((r) => r.json()).then((h) => h.engine.state === 'ready'), null, { polling: 300 });
    await field.fill('Say goodbye.');
    await page.getByRole('button', { name: 'Wyślij' }).click();
    await page.locator('.mine', { hasText: 'goodbye' }).waitFor();
    await answerDone(page);
    assert.equal(await page.locator('.failed').count(), 0);
  } },
  { name: 'real: two tabs show the same, and neither takes a word from the other', options: SLOW, async run({ page, mock }) {
    await settle(page);
    const other = await page.context().newPage();
    await other.goto(`${mock.url}/?lang=en`);
    await inside(other);
    await inAWord(page);
    await say(page, 'Hello.');
    await answerDone(page);
    await other.locator('.list ul a').first().click();
    await other.locator('.mine', { hasText: 'Hello.' }).waitFor();
    await composer(other).pressSequentially('typed here', { delay: 10 });
    await until(() => page.evaluate(() => fetch(`/watra/v1/threads/${location.hash.split('/')[2]}`).then((r) => r.json()).then((a) => a.thread.draft?.text)), 'typed here');
    await until(() => composer(page).inputValue(), 'typed here');
    await atLength(page);
    await say(page, COUNT); // written over it: what the other tab wrote is not said by it
    for (const tab of [page, other]) { await tab.locator('.mine', { hasText: COUNT }).waitFor(); await goesOn(tab, 20); }
    await other.getByRole('button', { name: 'Stop' }).click();
    for (const tab of [page, other]) await tab.getByText('Stopped.').waitFor();
    const alike = async () => (await words(page)).replace(/\s+/g, ' ') === (await words(other)).replace(/\s+/g, ' ');
    await until(alike, true);
    await briefly(page);
    // Whether the words of the first were a draft for a moment, before they were said, is a matter of how fast it was: then these wait beside.
    const beside = other.locator('.second').getByRole('button', { name: 'Put it back' });
    if (await beside.isVisible()) await beside.click();
    await until(() => composer(other).inputValue(), 'typed here');
    await other.getByRole('heading', { level: 1 }).getByRole('button').click();
    await other.getByLabel('Title of the conversation').fill('Two tabs');
    await other.getByLabel('Title of the conversation').press('Enter');
    await page.locator('.list a', { hasText: 'Two tabs' }).waitFor();
    await composer(other).press('Enter'); // while the first tab looks on
    await page.locator('.mine', { hasText: 'typed here' }).waitFor();
    for (const tab of [page, other]) await answerDone(tab);
    await until(alike, true);
    await other.close();
  } },
];
