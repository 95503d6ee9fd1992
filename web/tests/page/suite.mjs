// What the page must do, driven as a person would. Each case has a server of its own.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

import { answerDone, savePersona, until } from './harness.mjs';

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
export const composer = (page) => page.getByRole('textbox', { name: 'Message' });
export const firstThread = async (page) => { await page.locator('.list a[data-thread]').first().click(); await page.waitForSelector('.md > *'); };
const THEMES = ['watra', 'poranek', 'papier', 'kontrast'];
async function wear(page, theme) {
  await page.evaluate((t) => fetch('/watra/v1/settings', { method: 'PATCH', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify({ 'look.theme': t }) }), theme);
  await page.waitForFunction((t) => document.documentElement.dataset.theme === t, theme);
}
export async function say(page, text) { await composer(page).fill(text); await page.getByRole('button', { name: 'Send' }).click(); }

/** axe, without the CSP in its way: evaluated in the page's world by the driver, once nothing fades in any more. Colour contrast is computed from the tokens instead where axe cannot see (pictures). */
async function axe(page) {
  const { readFile } = await import('node:fs/promises');
  await page.evaluate(() => Promise.all(document.getAnimations().filter((one) => one.effect?.getComputedTiming().endTime !== Infinity).map((one) => one.finished.catch(() => undefined))));
  await page.evaluate(await readFile(axePath, 'utf8'));
  const result = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa'] }));
  assert.deepEqual(result.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(' | ')}`), []);
}

export const cases = [
  { name: 'chat: an answer streams, with its facts', smoke: true, options: { lang: 'en', rate: 3 }, async run({ page, mock }) {
    await say(page, 'What is a watra?');
    await page.getByRole('button', { name: 'Stop' }).waitFor();
    await page.locator('[role=log][aria-busy=true]').waitFor();
    mock.house.options.rate = 120; // slow until it was seen: the machine may be slower than the answer
    await answerDone(page);
    assert.match(await page.locator('.md').last().innerText(), /highland shepherds/);
    assert.equal(await page.locator('.md ol li').count(), 3);
    await page.waitForSelector('.katex');
    await page.locator('button.facts').last().click();
    assert.match(await page.locator('dl').last().innerText(), /Bielik/);
  } },
  { name: 'first start: language, machine, model, hello', options: { lang: 'en', firstStart: true }, async run({ page }) {
    await page.getByRole('button', { name: 'In English' }).click();
    await page.getByRole('button', { name: 'Let us light the fire' }).click();
    await page.getByText('RTX 3090').waitFor();
    await page.getByRole('button', { name: 'Choose a model' }).click();
    await page.getByText('English only').first().waitFor();
    await page.getByRole('button', { name: /SmolLM2/ }).click();
    await page.getByRole('button', { name: 'Step inside' }).click();
    await say(page, 'Hello');
    await answerDone(page);
  } },
  ...[['pl', 'Rozpalmy ogień', 'Wybierzmy model', 'już na dysku', /^do pobrania .*MB$/, 'Wejdź do izby', 'Dobry wieczór'], ['en', 'Let us light the fire', 'Choose a model', 'already on this disk', /MB to download$/, 'Step inside', 'Good evening']].map(([lang, begin, choose, here, away, enter, hello]) => ({ name: `first start: what is on the disk already stands first and says so; the greeting is that of the house (${lang})`, options: { lang, firstStart: true }, async run({ page, mock }) {
    await page.clock.setFixedTime(new Date(2026, 10, 27, 21, 30));
    const near = mock.house.models.find((one) => one.id === 'smollm2');
    near.state = 'ready';
    mock.house.changedModel(near);
    await page.getByRole('button', { name: begin }).click();
    await page.getByRole('button', { name: choose }).click();
    const chips = (card) => card.locator('.chip').last().innerText().then((words) => words.replaceAll('\u00a0', ' ').trim());
    const first = page.locator('.model').first();
    await until(() => first.locator('b').innerText(), 'SmolLM2 135M');
    assert.equal(await chips(first), here);
    assert.doesNotMatch(await first.innerText(), /\d\s(MB|GB)/);
    assert.match(await chips(page.locator('.model', { hasText: 'Coder 0.5B' })), away);
    await first.click();
    await until(() => page.locator('.sheet h1').innerText(), hello);
    await page.getByRole('button', { name: enter }).click();
    await until(() => page.locator('.empty h2').innerText(), hello);
  } })),
  { name: 'first start: what fails or is called off leaves the choice open, in words; a name does as well; the model is there next time', options: { lang: 'en', firstStart: true }, async run({ page, mock }) {
    await page.getByRole('button', { name: 'Let us light the fire' }).click();
    await page.getByRole('button', { name: 'Choose a model' }).click();
    const small = page.getByRole('button', { name: /SmolLM2/ });
    mock.house.failNext = 'job';
    await small.click();
    await page.getByText(/^The download of SmolLM2 135M failed. The server with the models does not answer/).first().waitFor();
    await page.getByRole('button', { name: /Qwen2.5 Coder 1.5B/ }).click();
    await page.getByText(/Downloading Qwen2.5 Coder 1.5B/).waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText(/Downloading/).waitFor({ state: 'detached' });
    await until(() => small.isEnabled(), true);
    await page.locator('summary', { hasText: 'Another model, by its name or address' }).click();
    await page.getByLabel('Name or address of a model').fill('no such model');
    await page.locator('.welcome form').first().getByRole('button', { name: 'Download' }).click();
    await page.getByText('I know no such model.').first().waitFor();
    await page.getByLabel('Name or address of a model').fill('hf:someone/models/Giewont-7B.gguf');
    await page.locator('.welcome form').first().getByRole('button', { name: 'Download' }).click();
    await page.getByText('Downloading Giewont-7B…').waitFor();
    await page.getByText(/Downloading Giewont-7B: .* of 4\sGB/).first().waitFor();
    await page.getByText('Giewont-7B sits by the fire.').waitFor();
    await page.getByRole('button', { name: 'Step inside' }).click();
    await composer(page).waitFor();
    await until(() => mock.house.settings['engine.default_model'], 'Giewont-7B');
  } },
  { name: 'edit makes a sibling, versions can be leafed through', smoke: true, options: { lang: 'en', rate: 900 }, async run({ page }) {
    await say(page, 'First words');
    await answerDone(page);
    await page.locator('.mine').getByRole('button', { name: 'Edit' }).click();
    await page.getByRole('textbox', { name: 'Text being edited' }).fill('Second words');
    await page.getByRole('button', { name: 'Send edited' }).click();
    await page.getByText('2/2').waitFor();
    await answerDone(page);
    await page.getByRole('button', { name: 'Previous version' }).click();
    await page.getByText('First words').last().waitFor();
    await page.locator('.row-in:not(.mine)').last().getByRole('button', { name: 'Once more' }).click();
    await page.locator('.row-in:not(.mine)').getByText('2/2').waitFor();
    await answerDone(page);
    await page.reload();
    await page.getByText('First words').last().waitFor();
  } },
  { name: 'stop keeps what was said, continue goes on', options: { lang: 'en', rate: 15 }, async run({ page, mock }) {
    await say(page, 'Tell me long things');
    await page.waitForFunction(() => (document.querySelector('.md')?.textContent?.length ?? 0) > 20);
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped.').waitFor();
    const kept = await page.locator('.md').last().innerText();
    assert.ok(kept.length < 3000, 'it went on to the end');
    mock.house.options.rate = 900;
    await page.getByRole('button', { name: 'Continue' }).click();
    await answerDone(page);
    const whole = await page.locator('.md').last().innerText();
    assert.ok(whole.startsWith(kept.slice(0, 15)), 'it began anew');
    assert.ok(whole.length > kept.length, 'it did not go on');
  } },
  { name: 'a click that is still on its way counts: a second one asks for nothing, what was edited is lost by no refusal', options: { lang: 'en', rate: 900 }, async run({ page, mock }) {
    await say(page, 'First words');
    await answerDone(page);
    const answers = () => [...mock.house.messages.values()].filter((m) => m.role === 'assistant').length;
    const before = answers();
    let open = () => undefined;
    const gate = new Promise((done) => { open = done; });
    await page.route('**/turns', async (route) => { await gate; return route.continue(); });
    const again = page.locator('.row-in:not(.mine)').getByRole('button', { name: 'Once more' });
    await again.evaluate((button) => { button.click(); button.click(); });
    await until(() => again.isDisabled(), true);
    await composer(page).fill('Meanwhile');
    assert.equal(await page.getByRole('button', { name: 'Send' }).isDisabled(), true);
    open();
    await page.getByText('2/2').waitFor();
    await answerDone(page);
    assert.equal(answers(), before + 1);
    assert.equal(await composer(page).inputValue(), 'Meanwhile');
    await page.unroute('**/turns');
    await page.route('**/turns', (route) => route.abort());
    await page.locator('.mine').getByRole('button', { name: 'Edit' }).click();
    const edited = page.getByRole('textbox', { name: 'Text being edited' });
    await edited.fill('Second words');
    await page.getByRole('button', { name: 'Send edited' }).click();
    await page.locator('.log[aria-busy=false]').waitFor();
    assert.equal(await edited.inputValue(), 'Second words');
    await page.unroute('**/turns');
    await page.getByRole('button', { name: 'Send edited' }).click();
    await page.locator('.mine', { hasText: 'Second words' }).waitFor();
    await answerDone(page);
  } },
  { name: 'what was said above a long answer is edited from the composer, and kept while it is out of sight', options: { lang: 'en', rate: 2000 }, async run({ page }) {
    await say(page, 'Tell me long things');
    await answerDone(page);
    await until(() => page.locator('.mine').count(), 0); // the answer fills more than the window: the question is not in the document
    await composer(page).press('ArrowUp');
    const edited = page.getByRole('textbox', { name: 'Text being edited' });
    await edited.fill('Tell me shorter things');
    await page.getByRole('button', { name: 'To the end' }).click();
    await edited.waitFor({ state: 'detached' });
    await page.locator('.log').hover();
    await page.mouse.wheel(0, -100000);
    await until(() => edited.inputValue(), 'Tell me shorter things');
    await page.getByRole('button', { name: 'Finish later' }).click();
    await edited.waitFor({ state: 'detached' });
    await page.locator('.mine', { hasText: 'Tell me long things' }).waitFor();
  } },
  { name: 'reload in mid-answer loses and doubles nothing', smoke: true, options: { lang: 'en', rate: 30 }, async run({ page, mock }) {
    await say(page, 'What is a watra?');
    await page.waitForFunction(() => (document.querySelector('.md')?.textContent?.length ?? 0) > 60);
    await page.reload();
    await page.waitForSelector('.md > *');
    mock.house.options.rate = 300;
    await answerDone(page);
    await page.waitForSelector('.katex');
    const stored = [...mock.house.messages.values()].at(-1).parts[0].text;
    const shown = await page.locator('.md').last().innerText();
    assert.equal((shown.match(/spruce/g) ?? []).length, (stored.match(/spruce/g) ?? []).length);
    assert.match(shown, /40 GB at 75 GB\/s/);
  } },
  { name: 'a lost stream is found again', options: { lang: 'en', rate: 40 }, async run({ page, mock }) {
    await say(page, 'What is a watra?');
    await page.waitForFunction(() => (document.querySelector('.md')?.textContent?.length ?? 0) > 30);
    for (const stream of mock.house.streams) stream.destroy();
    await page.waitForTimeout(1200);
    mock.house.options.rate = 300;
    await answerDone(page);
    assert.match(await page.locator('.md').last().innerText(), /40 GB at 75 GB\/s/);
  } },
  { name: 'at 0.9 tokens a second the page says what goes on', options: { lang: 'en', rate: 0.9 }, async run({ page, mock }) {
    mock.house.options.holdsReading = true;
    await say(page, 'Think slowly');
    await page.getByText(/Reading: \d+ of \d+\stokens/).waitFor();
    mock.house.options.holdsReading = false;
    await page.getByText(/tok\/s, about .* left/).waitFor();
  } },
  { name: 'a failure is told in words and leaves the words', options: { lang: 'en', rate: 60 }, async run({ page, mock }) {
    mock.house.failNext = 'middle';
    await say(page, 'What is a watra?');
    await page.getByText('The graphics card stopped answering').first().waitFor();
    assert.ok((await page.locator('.md').last().innerText()).length > 5);
  } },
  { name: 'search finds Łódź for lodz and goes there', options: { lang: 'en' }, async run({ page }) {
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Search and act' }).fill('lodz');
    await page.locator('.snippet', { hasText: 'Łodzi' }).first().waitFor();
    assert.equal(await page.locator('mark').first().innerText(), 'Łodz');
    await page.locator('[role=option]', { has: page.locator('mark') }).first().click();
    await page.locator('.row-in', { hasText: 'Łodzi' }).waitFor();
    await page.getByRole('link', { name: /Shelf/ }).click(); // and back where one was
    await page.locator('[data-room=polka]').waitFor();
    await page.locator('.rail a').first().click();
    await page.locator('.row-in', { hasText: 'Łodzi' }).waitFor();
    await page.keyboard.press('Control+2');
    await page.locator('[data-room=polka]').waitFor();
    await page.keyboard.press('Control+1');
    await page.locator('.row-in', { hasText: 'Łodzi' }).waitFor();
  } },
  { name: 'compare: blind, vote, names, go on', options: { lang: 'en', rate: 900 }, async run({ page }) {
    await page.getByRole('link', { name: /Side by side/ }).click();
    await page.getByLabel('Question', { exact: true }).fill('How does one light a fire?');
    await page.getByRole('button', { name: 'Ask', exact: true }).click();
    await page.getByText('Which answer is better?').waitFor();
    assert.equal(await page.locator('.column', { hasText: 'Bielik' }).count(), 0);
    assert.equal(await page.locator('.flap:not(.open)').count(), 2); // sealed
    await page.getByRole('button', { name: 'I choose A' }).click();
    await page.locator('.column', { hasText: 'Bielik' }).waitFor();
    assert.equal(await page.locator('.flap.open .broken').count(), 2);
    await page.getByRole('button', { name: 'Go on talking' }).first().click();
    await page.locator('.mine', { hasText: 'How does one light a fire?' }).waitFor();
  } },
  { name: 'theme and language change at once and stay', smoke: true, options: { rate: 900 }, view: { locale: 'pl-PL' }, async run({ page, mock }) {
    await page.keyboard.press('Control+,');
    await page.getByRole('radio', { name: 'Papier' }).click();
    await page.waitForFunction(() => document.documentElement.dataset.theme === 'papier');
    await until(() => page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(239, 227, 205)');
    await page.getByLabel('Krój pisma', { exact: true }).selectOption('brygada');
    await page.waitForFunction(() => getComputedStyle(document.querySelector('p.sample')).fontFamily.startsWith('"Brygada 1918"'));
    await page.getByLabel('Język', { exact: true }).selectOption('en');
    await page.getByRole('button', { name: 'Close' }).click();
    await composer(page).waitFor();
    await page.reload(); // at once: a change outlives the page
    await page.waitForFunction(() => document.documentElement.lang + document.documentElement.dataset.theme === 'enpapier');
    await until(() => [mock.house.settings['look.language'], mock.house.settings['look.theme']], ['en', 'papier']);
  } },
  { name: 'the look stands before the settings come: at the door, and with colours of one’s own', options: { lang: '', password: 'owca' }, view: { locale: 'pl-PL' }, async run({ page, mock }) {
    Object.assign(mock.house.settings, { 'look.theme': 'papier', 'look.language': 'en' });
    await page.reload();
    await page.locator('main.door').waitFor();
    assert.deepEqual(await page.evaluate(() => [document.documentElement.dataset.theme, document.documentElement.lang]), ['papier', 'en']);
    await page.getByText('Who is there?').waitFor();
    await page.getByLabel('Password').fill('owca');
    await page.getByRole('button', { name: 'Come in' }).click();
    await composer(page).waitFor();
    await page.evaluate(() => fetch('/watra/v1/settings', { method: 'PATCH', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify({ 'look.text_size': 'huge', 'look.custom_theme': { name: 'Hut', base: 'papier', tokens: { ember: '#004488' } } }) }));
    await page.waitForFunction(() => document.documentElement.dataset.text === 'huge');
    let go = () => undefined;
    const held = new Promise((done) => { go = done; });
    await page.route('**/watra/v1/house', async (route) => { await held; return route.continue(); });
    await page.reload();
    await page.locator('.opening').waitFor();
    assert.deepEqual(await page.evaluate(() => { const html = document.documentElement; return [html.dataset.theme, html.dataset.text, html.style.getPropertyValue('--ember')]; }), ['papier', 'huge', '#004488']);
    go();
    await composer(page).waitFor();
  } },
  { name: 'settings: a late answer undoes nothing newer', options: { lang: 'en' }, async run({ page, mock }) {
    let first = true;
    let late = false;
    await page.route('**/watra/v1/settings', async (route) => {
      if (route.request().method() !== 'PATCH') return route.continue();
      const answer = await route.fetch();
      if (!first) return route.fulfill({ response: answer });
      first = false;
      await new Promise((resolve) => { setTimeout(resolve, 1500); }); // the answer to the first change comes last
      await route.fulfill({ response: answer });
      late = true;
    });
    await page.keyboard.press('Control+,');
    await page.getByLabel('Text size', { exact: true }).selectOption('large');
    await page.getByRole('radio', { name: 'Paper' }).click();
    await page.getByLabel('Text size', { exact: true }).selectOption('huge');
    await until(() => late, true);
    await page.waitForTimeout(300);
    assert.deepEqual(await page.evaluate(() => [document.documentElement.dataset.theme, document.documentElement.dataset.text]), ['papier', 'huge']);
    await until(() => [mock.house.settings['look.theme'], mock.house.settings['look.text_size']], ['papier', 'huge']);
  } },
  { name: 'how it speaks, for the whole house: a preset, a reset, texts to stop at', options: { lang: 'en' }, async run({ page, mock }) {
    const values = mock.house.settings;
    await page.getByRole('button', { name: 'How it speaks' }).click();
    const preset = (name) => page.getByRole('button', { name, exact: true });
    await page.locator('.preset.chosen', { hasText: 'Conversation' }).waitFor(); // the defaults are one of them
    await preset('Story').click();
    await until(() => [values['sampling.temperature'], values['sampling.top_p'], values['sampling.dry_multiplier']], [1.1, 1, 0.8]);
    await preset('Matter-of-fact').click();
    await until(() => [values['sampling.temperature'], values['sampling.top_p'], values['sampling.dry_multiplier']], [0.3, 0.9, 0]); // what Story had set is gone
    await page.getByRole('button', { name: 'Reset: Temperature' }).click();
    await until(() => values['sampling.temperature'], 0.8);
    await until(() => page.getByRole('button', { name: 'Reset: Temperature' }).isDisabled(), true);
    await page.getByRole('button', { name: 'More settings' }).click();
    await page.getByLabel('Stop at', { exact: true }).fill('THE END\n***\n');
    await page.getByLabel('Stop at', { exact: true }).press('Tab');
    await until(() => values['sampling.stop'], ['THE END', '***']);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: 'Engine' }).click();
    await page.getByRole('button', { name: 'More settings' }).click();
    await page.getByLabel('Model at start').selectOption('hermes-4-70b');
    await until(() => values['engine.default_model'], 'hermes-4-70b');
  } },
  { name: 'conversations are brought, told, and taken back', options: { lang: 'en' }, async run({ page }) {
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: 'Door and data' }).click();
    await page.locator('input[type=file]').last().setInputFiles({ name: 'conversations.json', mimeType: 'application/json', buffer: Buffer.from('[]') });
    await page.getByText('Reading conversations.json…').waitFor();
    await page.keyboard.press('Escape'); // it goes on without the panel
    await page.getByText('Brought: 214 conversations, 18342 messages.').or(page.getByText('Brought: 214 conversations, 18,342 messages.')).first().waitFor();
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: 'Door and data' }).click();
    await page.getByText('1 place could not be read').click();
    await page.getByText('conversations.json, 17').waitFor();
    await page.getByRole('button', { name: 'Take back' }).click();
    await page.getByText('The conversations that were brought are gone.').first().waitFor();
    await page.getByRole('button', { name: 'Take back' }).waitFor({ state: 'detached' });
  } },
  { name: 'read aloud by a voice of this machine, in the language of the words, and stopped', options: { lang: 'en' }, async run({ page }) {
    await page.evaluate(() => {
      const voices = [{ name: 'far', lang: 'pl-PL', localService: false }, { name: 'Anna', lang: 'pl-PL', localService: true }, { name: 'Ann', lang: 'en-GB', localService: true }];
      globalThis.SpeechSynthesisUtterance = class { constructor(text) { this.text = text; } };
      globalThis.spoken = [];
      globalThis.calls = [];
      globalThis.voices = voices;
      speechSynthesis.getVoices = () => globalThis.voices;
      speechSynthesis.speak = (said) => { globalThis.spoken.push(said); };
      speechSynthesis.cancel = () => { globalThis.calls.push('cancel'); };
      speechSynthesis.dispatchEvent(new Event('voiceschanged'));
    });
    await firstThread(page);
    const said = () => page.evaluate(() => globalThis.spoken.map((part) => ({ text: part.text, voice: part.voice.name, lang: part.lang })));
    const cancelled = () => page.evaluate(() => globalThis.calls.length);
    const answer = page.locator('.row-in:not(.mine)').last();
    const stop = answer.getByRole('button', { name: 'Fall silent', exact: true });
    const read = async () => { await answer.getByRole('button', { name: 'More', exact: true }).click(); await page.getByRole('menuitem', { name: 'Read aloud', exact: true }).click(); };
    await read();
    await stop.click(); // in sight while it reads, not in a menu
    await stop.waitFor({ state: 'detached' });
    assert.equal(await cancelled(), 1);
    const first = await said();
    for (const part of first) assert.deepEqual([part.voice, part.lang], ['Anna', 'pl-PL']);
    assert.match(first.map((part) => part.text).join(' '), /Dobrze, że pytasz. Watra to ogień, który bacowie rozpalają/);
    assert.ok(first.every((part) => part.text.length <= 240 && !/[*#|`$]/.test(part.text)), JSON.stringify(first));
    await read();
    await page.evaluate((n) => globalThis.spoken[n - 1].onerror({}), first.length); // the end of what was called off comes late, and ends nothing new
    await stop.waitFor();
    await page.evaluate(() => globalThis.spoken.at(-1).onend());
    await stop.waitFor({ state: 'detached' });
    await read();
    const before = await cancelled();
    await page.locator('.list').getByRole('button', { name: 'New conversation' }).click(); // who leaves hears no more
    await page.waitForFunction((n) => globalThis.calls.length > n, before);
    await page.evaluate(() => { globalThis.spoken = []; });
    await page.locator('.list a', { hasText: 'Skrypt' }).click(); // code and a table: not a letter of them
    await page.waitForSelector('.md .code');
    await read();
    await stop.click();
    const words = (await said()).map((part) => part.text).join(' ');
    assert.ok(words.length > 60 && !/add_wood|def |log\.energy|return|kWh|[`|{}]/.test(words), words);
    await page.evaluate(() => { globalThis.voices = [{ name: 'Ann', lang: 'en-GB', localService: true }]; speechSynthesis.dispatchEvent(new Event('voiceschanged')); });
    await firstThread(page);
    const spoken = (await said()).length;
    await read();
    await page.getByText('This computer has no Polish voice').first().waitFor(); // no voice reads what it cannot
    assert.equal((await said()).length, spoken);
  } },
  { name: 'own theme: a colour is seen at once, poor contrast is told', options: { lang: 'en' }, async run({ page, mock }) {
    await page.keyboard.press('Control+,');
    await page.getByRole('button', { name: 'A theme of your own' }).click();
    await page.getByLabel('text', { exact: true }).fill('#333333');
    await page.getByText(/hard to read/).waitFor();
    await until(() => mock.house.settings['look.custom_theme']?.tokens.text, '#333333');
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save to a file' }).click()]);
    const { readFile } = await import('node:fs/promises');
    const theme = JSON.parse(await readFile(await file.path(), 'utf8'));
    assert.equal(theme.tokens.text, '#333333');
    await page.getByRole('button', { name: 'Back to the original' }).click();
    await until(() => mock.house.settings['look.custom_theme'], null);
    await page.getByRole('button', { name: 'A theme of your own' }).click();
    const bring = (text) => page.locator('.editor input[type=file]').setInputFiles({ name: 'hut.json', mimeType: 'application/json', buffer: Buffer.from(text) });
    await bring('no theme');
    await page.getByText('This file is not a theme.').first().waitFor();
    await bring(JSON.stringify({ ...theme, name: 'Hut', tokens: { ...theme.tokens, text: '#F0F0F0', evil: 'url(x)' } }));
    const kept = () => mock.house.settings['look.custom_theme'];
    await until(() => [kept()?.name, kept()?.tokens.text, kept()?.tokens.evil], ['Hut', '#F0F0F0', undefined]);
    await page.keyboard.press('Escape');
    mock.house.settings['look.follow_hour'] = true;
    await page.reload();
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Search and act' }).fill('Theme: Paper');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.documentElement.dataset.theme === 'papier');
    await until(() => [kept(), mock.house.settings['look.follow_hour'], mock.house.settings['look.theme']], [null, false, 'papier']);
  } },
  { name: 'shelf: load and download with progress, failure and address', options: { lang: 'en' }, async run({ page, mock }) {
    await page.getByRole('link', { name: /Shelf/ }).click();
    const small = page.getByRole('article', { name: 'SmolLM2 135M' });
    await small.getByRole('button', { name: 'Load', exact: true }).click();
    await small.getByText('by the fire').waitFor();
    const coder = page.getByRole('article', { name: 'Qwen2.5 Coder 0.5B' });
    await coder.getByRole('button', { name: 'Download' }).click();
    await coder.getByText(/Downloading .* of 491\sMB/).waitFor();
    await coder.getByRole('button', { name: 'Load', exact: true }).waitFor();
    const big = page.getByRole('article', { name: 'Qwen2.5 Coder 1.5B' });
    mock.house.failNext = 'job';
    await big.getByRole('button', { name: 'Download' }).click();
    await page.getByText(/^The download of Qwen2.5 Coder 1.5B failed/).first().waitFor();
    await big.getByRole('button', { name: 'Download' }).waitFor();
    // By an address that is on no card: how it comes is seen all the same, and the card stands there at the end.
    await page.getByLabel('Name or address of a model').fill('https://models.example/Giewont-7B-Q4_K_M.gguf');
    await page.locator('form.by-name').getByRole('button', { name: 'Download' }).click();
    await page.getByText('Downloading Giewont-7B-Q4_K_M…').waitFor();
    await page.getByRole('article', { name: 'Giewont-7B-Q4_K_M' }).waitFor();
    await page.locator('.coming').waitFor({ state: 'detached' });
    await page.getByRole('article', { name: 'Llama 3.3 70B' }).getByText('What would change it').click();
    await page.getByText('keeping the context more sparingly').first().waitFor();
  } },
  { name: 'shelf: nothing is promised before the machine was measured; other wishes are estimated at once', options: { lang: 'en', unmeasured: true }, async run({ page }) {
    await page.getByRole('link', { name: /Shelf/ }).click();
    const small = page.getByRole('article', { name: 'SmolLM2 135M' });
    await small.waitFor();
    assert.equal(await page.getByText('tokens a second').count(), 0);
    await page.getByRole('button', { name: 'Measure the machine' }).click();
    await small.getByText('tokens a second').waitFor();
    await small.getByRole('button', { name: 'Load otherwise…' }).click();
    await page.locator('dialog').getByText('tokens a second').waitFor();
    await page.locator('dialog select').selectOption('q8_0');
    await page.locator('dialog').getByRole('button', { name: 'Load', exact: true }).click();
    await small.getByText('by the fire').waitFor();
  } },
  { name: 'machine room: charts and the queue', options: { lang: 'en' }, async run({ page }) {
    await page.getByRole('link', { name: /Machine room/ }).click();
    await page.waitForSelector('.plot canvas');
    await until(() => page.locator('.plot canvas').count(), 4);
    await page.getByText('Nobody waits.').waitFor();
    await page.getByRole('img', { name: 'The mill wheel stands still.' }).waitFor();
    await page.getByRole('img', { name: /^RAM: .* of 112 GB for Watra$/ }).waitFor();
    const since = await page.evaluate(() => fetch('/watra/v1/machine/now?since=0').then((r) => r.json()).then((now) => new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit' }).format(now.since_ms)));
    await page.getByText(`The record begins at ${since.split(' ')[0]}`).waitFor();
  } },
  { name: 'machine room: temperatures that nobody can read are told in words, not drawn', options: { lang: 'en', coy: true }, async run({ page }) {
    await page.getByRole('link', { name: /Machine room/ }).click();
    await page.getByText('This machine does not tell its temperatures.').waitFor();
    await until(() => page.locator('.plot canvas').count(), 3);
  } },
  { name: 'machine room: the wheel turns while something is written, stands still after, and where less motion is wanted', options: { lang: 'en', rate: 20, card: true, says: 'One word more. '.repeat(400) }, async run({ page }) {
    const turning = (state) => page.waitForFunction((wanted) => { const turns = document.querySelector('.mill .wheel')?.getAnimations() ?? []; return wanted === 'none' ? turns.length === 0 : turns.some((turn) => turn.playState === wanted); }, state);
    const post = (path, body) => page.evaluate(([to, sent]) => fetch(`/watra/v1${to}`, { method: 'POST', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify(sent) }).then((r) => r.json()), [path, body]);
    await page.getByRole('link', { name: /Machine room/ }).click();
    await turning('paused');
    const { id } = await post('/compares', { client_id: 'wheel', question: 'Go on.', blind: false, columns: [{ model: 'bielik-11b-v3' }, { model: 'smollm2' }] });
    await turning('running');
    await page.getByRole('img', { name: /^The wheel turns at the pace of writing: / }).waitFor();
    await post(`/compares/${id}/stop`, {});
    await turning('paused');
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await page.getByRole('link', { name: /Shelf/ }).click();
    await page.getByRole('link', { name: /Machine room/ }).click();
    await page.getByRole('img', { name: 'The mill wheel stands still.' }).waitFor();
    await turning('none');
  } },
  { name: 'shelf: what drafts make of the speed stands beside it', options: { lang: 'en' }, async run({ page }) {
    await page.getByRole('link', { name: /Shelf/ }).click();
    await page.getByRole('article', { name: 'Llama 3.3 70B' }).getByText('With drafts about 5.3 tok/s').waitFor();
    assert.equal(await page.getByRole('article', { name: 'SmolLM2 135M' }).getByText('With drafts').count(), 0);
  } },
  { name: 'the prompt inspector shows what the model saw', options: { lang: 'en' }, async run({ page }) {
    await firstThread(page);
    await page.locator('.row-in:not(.mine)').getByRole('button', { name: 'More', exact: true }).click();
    await page.getByRole('menuitem', { name: 'What the model saw' }).click();
    await page.locator('.span.content', { hasText: 'watrę' }).waitFor();
    await page.keyboard.press('Escape');
  } },
  { name: 'composer: composing Enter, long paste, draft', options: { lang: 'en' }, async run({ page, mock }) {
    await firstThread(page);
    const box = composer(page);
    await box.fill('na');
    await box.dispatchEvent('keydown', { key: 'Enter', isComposing: true });
    assert.equal(await box.inputValue(), 'na');
    await box.evaluate((area) => { const data = new DataTransfer(); data.setData('text/plain', 'x'.repeat(5000)); area.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })); });
    await page.getByText(/pasted text.txt/).waitFor();
    await until(() => [...mock.house.threads.values()].filter((t) => t.draft?.text === 'na').length, 1);
    // A conversation that has not begun keeps its words too, and lends them to no other.
    await page.locator('.list').getByRole('button', { name: 'New conversation' }).click();
    await page.waitForFunction(() => document.querySelector('.composer textarea').value === '');
    await box.pressSequentially('not yet said', { delay: 10 });
    await page.waitForTimeout(900);
    await firstThread(page);
    await page.waitForFunction(() => document.querySelector('.composer textarea').value === 'na');
    await page.locator('.list').getByRole('button', { name: 'New conversation' }).click();
    await page.waitForFunction(() => document.querySelector('.composer textarea').value === 'not yet said');
    await page.reload();
    await page.waitForFunction(() => document.querySelector('.composer textarea')?.value === 'not yet said');
    await box.press('Enter');
    await answerDone(page);
    await page.locator('.list').getByRole('button', { name: 'New conversation' }).click();
    await page.waitForFunction(() => document.querySelector('.composer textarea').value === '');
  } },
  { name: 'the door: wrong password, right password', options: { lang: 'en', password: 'owca i pies' }, async run({ page }) {
    await page.getByLabel('Password').fill('wilk');
    await page.getByRole('button', { name: 'Come in' }).click();
    await page.getByText('That is not the password.').first().waitFor();
    await page.getByLabel('Password').fill('owca i pies');
    await page.getByRole('button', { name: 'Come in' }).click();
    await composer(page).waitFor();
  } },
  { name: 'the entry code is used and leaves the address', options: { lang: 'en', password: 'x', code: 'abc' }, async run({ page, mock }) {
    await page.goto(`${mock.url}/?lang=en&x#enter=abc`);
    await composer(page).waitFor();
    assert.ok(!page.url().includes('abc'));
  } },
  { name: 'the entry code comes into a tab that shows the door: it opens, and the address is what it was', options: { lang: 'en', password: 'x', code: 'abc' }, async run({ page }) {
    await page.evaluate(() => { location.hash = '#/maszynownia'; });
    await page.waitForSelector('.door');
    await page.evaluate(() => { location.hash = '#enter=old'; });
    await page.getByText('This address no longer opens the door').first().waitFor();
    await until(() => page.evaluate(() => location.hash), '#/maszynownia');
    await page.evaluate(() => { location.hash = '#enter=abc'; });
    await page.waitForSelector('.place[data-room=maszynownia]');
    assert.equal(await page.evaluate(() => location.hash), '#/maszynownia');
    await page.evaluate(() => { location.hash = '#enter=late'; }); // who is in already stays where he is
    await until(() => page.evaluate(() => location.hash), '#/maszynownia');
    await page.waitForSelector('.place[data-room=maszynownia]');
  } },
  { name: 'phone: nothing sticks out, the drawer opens', options: { lang: 'en', rate: 900 }, view: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }, async run({ page }) {
    await say(page, 'Write Python code');
    await answerDone(page);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await page.getByRole('button', { name: 'Conversations' }).click();
    await page.getByRole('link', { name: /Jak rozpalić/ }).click();
    await page.getByText('wstaje w nocy').waitFor();
  } },
  ...['izba', 'polka', 'obok', 'maszynownia'].map((room) => ({ name: `axe: ${room} in each theme`, options: { lang: 'en' }, async run({ page }) {
    await page.evaluate((r) => { location.hash = `#/${r}`; }, room);
    await page.waitForSelector(`[data-room=${room}]`);
    if (room === 'izba') await firstThread(page);
    await page.waitForTimeout(900);
    for (const theme of THEMES) { await wear(page, theme); await axe(page); }
  } })),
  { name: 'axe: settings, palette, keys and menus', options: { lang: 'en' }, async run({ page }) {
    await page.keyboard.press('Control+,');
    await page.getByRole('radio', { name: 'Paper' }).waitFor();
    await axe(page);
    await page.getByRole('tab', { name: 'Personas' }).click();
    await axe(page);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Search and act' }).fill('wat');
    await page.waitForTimeout(400);
    await axe(page);
    await page.keyboard.press('Escape');
    await page.locator('body').press('?');
    await page.getByRole('heading', { name: 'Keyboard' }).or(page.locator('kbd').first()).first().waitFor();
    await axe(page);
    await page.keyboard.press('Escape');
    await firstThread(page);
    await page.getByRole('button', { name: 'How it speaks' }).click();
    await page.getByLabel('Temperature', { exact: true }).first().waitFor();
    await axe(page);
  } },
  { name: 'axe: first start and the door', options: { lang: 'en', firstStart: true }, async run({ page, mock }) {
    await axe(page);
    await page.getByRole('button', { name: 'In English' }).click();
    await page.getByRole('button', { name: 'Let us light the fire' }).click();
    await page.getByRole('button', { name: 'Choose a model' }).click();
    await page.getByText('English only').first().waitFor();
    await axe(page);
    mock.house.options.password = 'owca';
    await page.reload();
    await page.getByLabel('Password').waitFor();
    await axe(page);
  } },
  { name: 'kill -9 in mid-answer: what was shown is kept, the page comes back, continue goes on', options: { lang: 'en', rate: 20, child: true }, async run({ page, mock }) {
    await say(page, 'What is a watra?');
    await page.waitForFunction(() => (document.querySelector('.md')?.textContent?.length ?? 0) > 60);
    await mock.kill();
    await page.getByText('The server went silent').waitFor();
    const shown = (await page.locator('.md').last().innerText()).replace(/\s+/g, ' ').slice(0, 50);
    await mock.start();
    await page.getByText('Interrupted in mid-word').waitFor();
    assert.ok((await page.locator('.md').last().innerText()).replace(/\s+/g, ' ').startsWith(shown), 'words that were shown are gone');
    await page.getByText('The server went silent').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText('embers stay').waitFor();
    await answerDone(page);
  } },
  { name: 'a phone without TLS: an insecure context loses nothing', options: { lang: 'en', rate: 900, far: true }, view: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }, async run({ page }) {
    assert.equal(await page.evaluate(() => isSecureContext), false);
    await say(page, 'Write Python code');
    await answerDone(page);
    await page.locator('.row-in:not(.mine)').last().getByRole('button', { name: 'Copy', exact: true }).last().click();
    await page.getByText('Copied.').first().waitFor();
    await page.locator('.row-in:not(.mine)').last().getByRole('button', { name: 'Once more' }).click();
    await page.getByText('2/2').waitFor();
  } },
  { name: 'a persona, a preset, a folder, the archive, a pinned message', options: { lang: 'en', rate: 900 }, async run({ page, mock }) {
    await savePersona(page, 'Baca', 'Speaks little, warmly.');
    await firstThread(page);
    await page.getByRole('button', { name: 'How it speaks' }).click();
    await page.locator('dialog label.system select').selectOption({ label: 'Baca' });
    await page.getByLabel('Temperature', { exact: true }).first().fill('0.55');
    await page.getByLabel('Temperature', { exact: true }).first().press('Tab');
    await page.getByRole('button', { name: 'Keep these settings' }).click();
    await page.getByLabel('What shall they be called?').fill('Halfway');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('button', { name: 'Halfway', exact: true }).waitFor();
    await page.keyboard.press('Escape'); // what was changed a moment ago is kept
    const thread = [...mock.house.threads.values()][0];
    await until(() => [thread.sampling.temperature, mock.house.personas.get(thread.persona)?.name], [0.55, 'Baca']);
    const more = page.getByRole('button', { name: 'More about this conversation' });
    await page.locator('.row-in:not(.mine)').getByRole('button', { name: 'More', exact: true }).click();
    await page.getByRole('menuitem', { name: 'Pin', exact: true }).click();
    await page.locator('.row-in:not(.mine) header [aria-label=Pinned]').waitFor();
    await more.click();
    await page.getByRole('menuitem', { name: 'Pinned messages' }).click();
    await page.locator('dialog .hit').waitFor();
    await page.keyboard.press('Escape');
    await more.click();
    await page.getByRole('menuitem', { name: 'Put into a folder…' }).click();
    await page.getByLabel('Name of the folder').fill('Fires');
    await page.getByRole('button', { name: 'Put there' }).click();
    await until(() => thread.folder, 'Fires');
    await more.click();
    await page.getByRole('menuitem', { name: 'Put into the archive' }).click();
    await page.getByRole('button', { name: 'Archive', exact: true }).click();
    await page.locator('.list a', { hasText: thread.title }).click();
    await more.click();
    await page.getByRole('menuitem', { name: 'Take out of the archive' }).click();
    await page.getByRole('button', { name: 'Back to conversations' }).click();
    await page.locator('.list a', { hasText: thread.title }).waitFor();
  } },
  { name: 'the archive is looked through to its end', options: { lang: 'en', rate: 900 }, async run({ page, mock }) {
    await firstThread(page);
    const [thread] = [...mock.house.threads.values()];
    for (let i = 0; i < 450; i++) mock.house.threads.set(`t_away_${i}`, { ...thread, id: `t_away_${i}`, title: `Away ${i}`, archived: true, pinned: i < 210, updated_ms: 1000 + (i % 7) });
    await page.getByRole('button', { name: 'Archive', exact: true }).click();
    for (const n of [200, 400, 450]) {
      await until(() => page.locator('.list .all li').count(), n);
      if (n < 450) await page.getByRole('button', { name: 'Older' }).click();
    }
    assert.equal(await page.getByRole('button', { name: 'Older' }).count(), 0);
  } },
  { name: 'deleting a persona asks first; presets say what they are for', options: { lang: 'en' }, async run({ page, mock }) {
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: 'Personas' }).click();
    const name = [...mock.house.personas.values()][0].name;
    await page.getByRole('button', { name: `Remove the persona ${name}` }).click();
    await page.getByText('Conversations it took part in stay.').waitFor();
    await page.getByRole('button', { name: 'Keep', exact: true }).click();
    assert.equal([...mock.house.personas.values()][0].name, name);
    await page.getByRole('button', { name: `Remove the persona ${name}` }).click();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Remove', exact: true }).click();
    await page.waitForFunction((n) => ![...document.querySelectorAll('dialog li b')].some((b) => b.textContent === n), name);
    await until(() => [...mock.house.personas.values()].some((p) => p.name === name), false);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'How it speaks' }).click();
    await page.getByText('The same question gives the same answer, word for word.').waitFor();
    assert.match(await page.getByRole('button', { name: 'Story', exact: true }).evaluate((b) => document.getElementById(b.getAttribute('aria-describedby')).textContent), /stories and letters/);
  } },
  { name: 'what another page does with a persona is seen here, and not written over', options: { lang: 'en', rate: 900 }, async run({ page, mock }) {
    const elsewhere = (method, body) => fetch(`${mock.url}/watra/v1/personas/juhas`, { method, headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, ...(body ? { body: JSON.stringify(body) } : {}) });
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: 'Personas' }).click();
    await page.getByRole('button', { name: 'New persona' }).waitFor();
    await elsewhere('PUT', { name: 'Juhas', text: 'old words' });
    await page.getByRole('button', { name: /Juhas old words/ }).click();
    await page.getByLabel('Who it is and how it speaks').fill('words of this page');
    await elsewhere('PUT', { name: 'Juhas', text: 'words from elsewhere' });
    await page.getByText('words from elsewhere').waitFor();
    await page.getByRole('button', { name: 'Save the persona' }).click();
    await page.getByText(/changed in another window/).first().waitFor();
    assert.equal(mock.house.personas.get('juhas').text, 'words from elsewhere');
    await page.getByRole('button', { name: 'Save the persona' }).click(); // knowing of the others
    await until(() => mock.house.personas.get('juhas').text, 'words of this page');
    await elsewhere('DELETE');
    await page.getByText('words of this page').waitFor({ state: 'detached' });
  } },
  { name: 'a set of questions is asked whole, every table is kept and saved', options: { lang: 'en', rate: 2000 }, async run({ page, mock }) {
    await page.getByRole('link', { name: /Side by side/ }).click();
    await page.getByLabel('Question', { exact: true }).fill('What is a hala?');
    await page.getByRole('button', { name: 'Keep the question' }).click();
    await page.getByText('My questions').first().waitFor();
    await page.getByLabel('Question', { exact: true }).fill('What is a bacówka?');
    await page.getByRole('button', { name: 'Keep the question' }).click();
    const set = page.locator('.sets details', { hasText: 'My questions' });
    await set.getByText('2 questions').waitFor();
    const [kept] = mock.house.sets.values(); // another window adds one and takes it back
    const elsewhere = (questions) => fetch(`${mock.url}/watra/v1/sets/${kept.id}`, { method: 'PUT', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify({ name: kept.name, questions }) });
    await elsewhere([...kept.questions, 'What is a koliba?']);
    await set.getByText('3 questions').waitFor();
    await set.getByRole('listitem').filter({ hasText: 'What is a koliba?' }).getByRole('button', { name: 'Remove the question from its set' }).click();
    await set.getByText('2 questions').waitFor();
    assert.deepEqual([...mock.house.sets.get(kept.id).questions], kept.questions);
    await set.getByRole('button', { name: 'Ask the whole set' }).click();
    await page.getByText('Question 1 of 2').waitFor();
    await page.reload(); // the house asks, whoever looks
    await page.locator('ul li.paper', { hasText: 'What is a bacówka?' }).waitFor();
    await page.getByText('Question 2 of 2').waitFor({ state: 'detached' });
    await until(() => [...mock.house.compares.values()].map((c) => c.state), ['done', 'done']);
    await page.getByRole('button', { name: 'Save the table' }).click();
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('menuitem', { name: 'Table, CSV' }).click()]);
    const { readFile } = await import('node:fs/promises');
    const table = await readFile(await file.path(), 'utf8');
    assert.match(table, /What is a hala\?/);
    assert.match(table, /What is a bacówka\?/);
  } },
  { name: 'quote, fork, once more with another model', options: { lang: 'en', rate: 900 }, async run({ page, mock }) {
    await firstThread(page);
    const menu = async (item) => { await page.locator('.row-in:not(.mine)').last().getByRole('button', { name: 'More', exact: true }).click(); await page.getByRole('menuitem', { name: item, exact: true }).click(); };
    await menu('Quote');
    await say(page, 'What did you mean?');
    await answerDone(page);
    await until(() => page.locator('.row-in.mine .ref').count(), 1);
    await menu('Once more, differently…');
    await page.locator('dialog label.model select').selectOption('smollm2');
    await page.locator('dialog').getByRole('button', { name: 'Once more' }).click();
    await page.getByText('2/2').waitFor();
    await answerDone(page);
    assert.equal([...mock.house.messages.values()].at(-1).answer.model.id, 'smollm2');
    await menu('New conversation from here');
    await page.getByText('A new conversation begins here.').first().waitFor();
    await page.waitForFunction(() => document.querySelectorAll('.row-in').length === 4);
  } },
  { name: 'an answer that goes round and round can be stopped there; one that filled the memory says so and does not go on', options: { lang: 'en', rate: 200 }, async run({ page, mock }) {
    await firstThread(page);
    const answer = [...mock.house.messages.values()].find((m) => m.role === 'assistant' && m.answer);
    const reload = async () => { answer.seq++; await page.reload(); await page.waitForSelector('.md > *'); };
    const goOn = page.getByRole('button', { name: 'Continue' });
    Object.assign(answer.answer, { finish_reason: 'length', context: { ...answer.answer.context, used_tokens: answer.answer.context.n_ctx } });
    await reload();
    await page.getByText('Here the memory of the conversation was full.').waitFor();
    assert.equal(await goOn.count(), 0);
    answer.answer.context.used_tokens = 200;
    await reload();
    await page.getByText('Here the answer reached the length that was set.').waitFor();
    await until(() => goOn.count(), 1);
    mock.house.options.says = 'The Elyons said that they could live without a wolf.\n\n'.repeat(400);
    await say(page, 'A story, please');
    await page.getByText('The model goes round and round.').waitFor();
    await page.getByRole('button', { name: 'Enough' }).click();
    await page.getByText('Stopped.').waitFor();
    await page.getByText('The model goes round and round.').waitFor({ state: 'detached' });
  } },
  { name: 'a dropped text file joins the message, an image the model cannot see does not', options: { lang: 'en', rate: 900 }, async run({ page, mock }) {
    const drop = (name, type) => page.evaluate(([n, m]) => { const data = new DataTransfer(); data.items.add(new File(['Watra pali się od wiosny.'], n, { type: m })); document.querySelector('.sheet').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })); }, [name, type]);
    // Sent while the file is still on its way: it waits for it.
    let late = true;
    await page.route('**/watra/v1/attachments', async (route) => { if (late) { late = false; await new Promise((go) => { setTimeout(go, 1200); }); } return route.continue(); });
    await composer(page).fill('Read this first');
    await drop('late.md', 'text/markdown');
    await page.getByText('late.md is on its way…').waitFor();
    await composer(page).press('Enter');
    await answerDone(page);
    await page.locator('.row-in.mine', { hasText: 'late.md' }).waitFor();
    await drop('notes.md', 'text/markdown');
    await page.getByText(/notes.md/).waitFor();
    await drop('sheep.png', 'image/png');
    await page.getByText('This model cannot see pictures.').first().waitFor();
    await say(page, 'What is in it?');
    await answerDone(page);
    await page.locator('.row-in.mine', { hasText: 'notes.md' }).waitFor();
    assert.equal([...mock.house.messages.values()].filter((m) => m.parts.some((p) => p.type === 'attachment')).length, 2);
  } },
  { name: 'a thread of 5,000 messages opens at its end and stays there', options: { lang: 'en', big: true, rate: 200 }, async run({ page }) {
    await page.locator('.list a', { hasText: 'Zima na hali' }).click();
    await page.waitForSelector('.md > *');
    await page.waitForTimeout(2500);
    assert.ok(await page.locator('.row-in').count() < 40);
    // As the eye sees it, when a frame has been drawn: between two of them words may stand there that nobody has seen.
    const drawn = (read) => page.evaluate(`new Promise((done) => { requestAnimationFrame(() => { requestAnimationFrame(() => { done((${read})()); }); }); })`);
    const atEnd = () => drawn(() => { const log = document.querySelector('.log'); return log.scrollHeight - log.scrollTop - log.clientHeight < 60; });
    await until(atEnd, true);
    await say(page, 'Tell me long things');
    await page.waitForFunction(() => ([...document.querySelectorAll('.md')].at(-1)?.textContent.length ?? 0) > 800);
    await until(atEnd, true);
    await page.locator('.log').hover();
    await page.mouse.wheel(0, -900);
    await page.getByRole('button', { name: 'To the end' }).waitFor();
    await page.waitForTimeout(300);
    // What is read stays where it is for the eye; the scroll position itself may change when rows above get their true height.
    const top = () => drawn(() => { globalThis.read ??= document.elementFromPoint(innerWidth / 2 - 200, innerHeight / 2).closest('.row-in'); return globalThis.read.getBoundingClientRect().top; });
    const before = await top();
    await page.waitForTimeout(1000);
    assert.ok(Math.abs(await top() - before) < 3, `the view jumped by ${await top() - before} while reading`);
    await page.getByRole('button', { name: 'To the end' }).click();
  } },
];
