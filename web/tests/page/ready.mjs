// Words kept ready: written once, put into a message by a stroke and a few letters; kept from what was said; seen and not written over by another page.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

import { answerDone, until } from './harness.mjs';

const both = (make) => ['pl', 'en'].map((lang) => make(lang, (pl, en) => (lang === 'pl' ? pl : en)));
const box = (page) => page.locator('.composer .line textarea');
const elsewhere = (mock, method, id, body) => fetch(`${mock.url}/watra/v1/phrases/${id}`, { method, headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, ...(body ? { body: JSON.stringify(body) } : {}) });
const lay = async (mock) => {
  await elsewhere(mock, 'PUT', 'letter', { name: 'List do kogoś', text: 'Napisz list do {{komu}} o tym, że {{co}}. Podpisz: {{komu}}.' });
  await elsewhere(mock, 'PUT', 'short', { name: 'Streść', text: 'Streść to w trzech zdaniach.' });
  await elsewhere(mock, 'PUT', 'list', { name: 'Moja lista', text: 'Zrób listę.' });
};
const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

export const cases = [
  ...both((lang, w) => ({ name: `words kept ready: a stroke and a few letters put them in, by keys alone (${lang})`, options: { lang, rate: 900 }, async run({ page, mock }) {
    await lay(mock);
    const list = page.getByRole('listbox', { name: w('Słowa pod ręką', 'Words kept ready') });
    const marked = () => list.locator('[aria-selected=true] b').innerText();
    await box(page).focus();
    await page.keyboard.press('/');
    await until(() => list.getByRole('option').count(), 4); // and the way to where they are written
    await page.keyboard.type('LIST');
    await until(() => list.locator('b').allInnerTexts(), ['List do kogoś', 'Moja lista']);
    await page.keyboard.press('ArrowUp');
    await until(marked, 'Moja lista');
    await until(() => box(page).getAttribute('aria-activedescendant'), 'phrase-1');
    // An input method at work takes its Enter for itself.
    await box(page).evaluate((field) => field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, isComposing: true })));
    assert.equal(await box(page).inputValue(), '/LIST');
    await page.keyboard.press('Enter');
    await until(() => box(page).inputValue(), 'Zrób listę.');
    assert.equal(await list.count(), 0);
    assert.ok(await box(page).evaluate((field) => field === document.activeElement));
    // Marks and capitals do not matter; Escape closes the list and leaves the words.
    await box(page).fill('');
    await page.keyboard.type('/stresc');
    await list.waitFor();
    await page.keyboard.press('Escape');
    await list.waitFor({ state: 'detached' });
    assert.equal(await box(page).inputValue(), '/stresc');
    // What fits nothing is a message like any other.
    await box(page).fill('/usr/bin');
    await page.keyboard.press('Enter');
    await answerDone(page);
    await page.locator('.mine .said').getByText('/usr/bin').waitFor();
    assert.equal(await list.count(), 0);
  } })),
  ...both((lang, w) => ({ name: `words kept ready: blanks are asked for before they go in (${lang})`, options: { lang }, async run({ page, mock }) {
    await lay(mock);
    await box(page).focus();
    await page.keyboard.type('/list d');
    await page.getByRole('option', { name: 'List do kogoś' }).waitFor();
    await page.keyboard.press('Enter');
    const form = page.getByRole('group', { name: w('Uzupełnij: List do kogoś', 'Fill in: List do kogoś') });
    await until(() => form.locator('textarea').count(), 2); // each once
    await page.keyboard.type('Zosi');
    await page.keyboard.press('Enter');
    await page.keyboard.type('spadł śnieg');
    assert.equal(mock.house.runs.size, 0);
    await page.keyboard.press('Enter');
    await until(() => box(page).inputValue(), 'Napisz list do Zosi o tym, że spadł śnieg. Podpisz: Zosi.');
    assert.ok(await box(page).evaluate((field) => field === document.activeElement && field.selectionStart === field.value.length));
    // Escape goes back to what was looked for.
    await box(page).fill('/list d');
    await page.getByRole('option', { name: 'List do kogoś' }).click();
    await form.waitFor();
    await page.keyboard.press('Escape');
    await form.waitFor({ state: 'detached' });
    assert.equal(await box(page).inputValue(), '/list d');
  } })),
  { name: 'words kept ready: on a phone they are kept from what was said, named, put in by a tap, changed and removed', options: { lang: 'en', rate: 900 }, view: phone, async run({ page, mock }) {
    await box(page).tap();
    await page.keyboard.type('/');
    await page.getByRole('option', { name: 'Nothing lies here yet. Add the first words…' }).waitFor();
    await box(page).fill('Tell me a quiet story about {{topic}}');
    await page.getByRole('button', { name: 'Send' }).tap();
    await answerDone(page);
    await page.locator('.mine').getByRole('button', { name: 'More' }).tap();
    await page.getByRole('menuitem', { name: 'Keep these words ready' }).tap();
    const name = page.getByLabel('Name', { exact: true });
    await until(() => name.inputValue(), 'Tell me a quiet story about {{topic}}');
    assert.equal(mock.house.phrases.size, 0); // a draft until it is saved
    await name.fill('Good night');
    await page.getByRole('button', { name: 'Save the words' }).tap();
    await until(() => [...mock.house.phrases.values()].map((one) => [one.name, one.text]), [['Good night', 'Tell me a quiet story about {{topic}}']]);
    await page.getByRole('button', { name: 'Close' }).first().tap();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await box(page).tap();
    await page.keyboard.type('/');
    await page.getByRole('option', { name: 'Good night' }).tap();
    await page.getByLabel('topic').fill('owls');
    await page.getByRole('button', { name: 'Put in' }).tap();
    await until(() => box(page).inputValue(), 'Tell me a quiet story about owls');
    await box(page).fill('/');
    await page.getByRole('option', { name: 'Add or edit…' }).tap();
    await page.getByRole('button', { name: /^Good night/ }).tap();
    await page.getByRole('textbox', { name: 'Words' }).fill('Tell me a long story');
    await page.getByRole('button', { name: 'Save the words' }).tap();
    await until(() => [...mock.house.phrases.values()].map((one) => one.text), ['Tell me a long story']);
    await page.getByRole('button', { name: 'Remove the words “Good night”' }).tap();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Keep' }).tap();
    assert.equal(mock.house.phrases.size, 1);
    await page.getByRole('button', { name: 'Remove the words “Good night”' }).tap();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).tap();
    await until(() => mock.house.phrases.size, 0);
  } },
  { name: 'words kept ready: what another page does with them is seen here, and not written over', options: { lang: 'en' }, async run({ page, mock }) {
    await lay(mock);
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: 'Words kept ready' }).click();
    await page.getByRole('button', { name: /^Streść/ }).click();
    const words = page.getByRole('textbox', { name: 'Words' });
    await words.fill('of this page');
    await elsewhere(mock, 'PUT', 'short', { name: 'Streść', text: 'of the other page' });
    await elsewhere(mock, 'PUT', 'new', { name: 'From elsewhere', text: 'x' });
    await page.getByRole('button', { name: /^From elsewhere/ }).waitFor();
    await page.getByRole('button', { name: 'Save the words' }).click();
    await page.getByText('changed in another window').first().waitFor();
    assert.equal(mock.house.phrases.get('short').text, 'of the other page');
    assert.equal(await words.inputValue(), 'of this page');
    await page.getByRole('button', { name: 'Save the words' }).click();
    await until(() => mock.house.phrases.get('short').text, 'of this page');
  } },
  ...both((lang, w) => ({ name: `a persona to begin with: set once, shown before the first word, left out by choice, gone with the persona (${lang})`, options: { lang, rate: 900 }, async run({ page, mock }) {
    const whom = page.getByRole('radiogroup', { name: w('Z kim rozmawiać?', 'Whom to talk with?') });
    const [persona] = mock.house.personas.values();
    const chosen = (name) => until(() => whom.getByRole('radio', { name }).getAttribute('aria-checked'), 'true');
    const nobody = w('bez persony', 'no persona');
    const anew = () => page.getByRole('button', { name: w('Nowa rozmowa', 'New conversation') }).first().click();
    const begun = (title) => [...mock.house.threads.values()].find((thread) => thread.title === title)?.persona;
    const say = async (text) => { await box(page).fill(text); await box(page).press('Enter'); await answerDone(page); };
    await chosen(nobody);
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: w('Persony', 'Personas') }).click();
    const setting = page.getByLabel(w('Persona na początek', 'Persona to begin with'));
    await page.getByText(w('Jej słowa zajmują miejsce', 'Its words take room')).waitFor(); // it says what it costs
    await setting.selectOption({ label: persona.name });
    await until(() => mock.house.settings['house.persona'], persona.id);
    await page.keyboard.press('Escape');
    await chosen(persona.name);
    await page.reload();
    await chosen(persona.name);
    await say('raz');
    assert.equal(begun('raz'), persona.id);
    await anew();
    await whom.getByRole('radio', { name: nobody }).click();
    await page.reload();
    await chosen(nobody); // by choice, over a reload too
    await say('dwa');
    assert.equal(begun('dwa'), null);
    await anew();
    await chosen(persona.name); // the next one is as the settings say again
    await fetch(`${mock.url}/watra/v1/personas/${persona.id}`, { method: 'DELETE', headers: { 'X-Watra': '1' } });
    await whom.waitFor({ state: 'detached' });
    assert.equal(mock.house.settings['house.persona'], '');
    await say('trzy');
    assert.equal(begun('trzy'), null);
  } })),
  { name: 'axe: words kept ready, their list and what they ask for', options: { lang: 'en' }, async run({ page, mock }) {
    await lay(mock);
    const axe = async () => {
      await page.evaluate(() => Promise.all(document.getAnimations().filter((one) => one.effect?.getComputedTiming().endTime !== Infinity).map((one) => one.finished.catch(() => undefined))));
      await page.evaluate(await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'));
      const found = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa'] }));
      assert.deepEqual(found.violations.map((one) => [one.id, one.nodes[0].html, one.nodes[0].failureSummary]), []);
    };
    for (const theme of ['watra', 'poranek', 'papier', 'kontrast']) {
      await page.evaluate((to) => fetch('/watra/v1/settings', { method: 'PATCH', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify({ 'look.theme': to }) }), theme);
      await until(() => page.evaluate(() => document.documentElement.dataset.theme), theme);
      await box(page).fill('/');
      await page.getByRole('option', { name: 'List do kogoś' }).waitFor();
      await axe();
      await page.getByRole('option', { name: 'List do kogoś' }).click();
      await page.getByLabel('komu').waitFor();
      await axe();
      await page.keyboard.press('Escape');
    }
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: 'Words kept ready' }).click();
    await page.getByRole('button', { name: /^Streść/ }).click();
    await axe();
  } },
];
