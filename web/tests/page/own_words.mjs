// What the person may do with the model's words: put others in their place, give their beginning. In both languages, by hand and by keys.
import assert from 'node:assert/strict';

import { answerDone, until } from './harness.mjs';

const both = (make) => ['pl', 'en'].map((lang) => make(lang, (pl, en) => (lang === 'pl' ? pl : en)));
const box = (page) => page.locator('.composer textarea').last();
const firstThread = async (page) => { await page.locator('.list a[data-thread]').first().click(); await page.waitForSelector('.md > *'); };
const last = (page) => page.locator('.row-in:not(.mine)').last();
const answers = (mock, thread) => [...mock.house.messages.values()].filter((m) => m.thread === thread.id && m.role === 'assistant');
const wordsOf = (message) => message.parts.map((part) => part.text ?? '').join('');
const pinned = (mock) => [...mock.house.threads.values()].find((thread) => thread.pinned);

export const cases = [
  ...both((lang, w) => ({ name: `an answer is edited into a version beside it, and goes on from its end (${lang})`, options: { lang, rate: 900 }, async run({ page, mock }) {
    await firstThread(page);
    const thread = pinned(mock);
    const old = wordsOf(answers(mock, thread)[0]);
    const field = page.getByRole('textbox', { name: w('Poprawiany tekst', 'Text being edited') });
    const save = page.getByRole('button', { name: w('Zapisz', 'Save'), exact: true });
    const on = page.getByRole('button', { name: w('Zapisz i kontynuuj', 'Save and continue') });
    await last(page).getByRole('button', { name: w('Popraw', 'Edit'), exact: true }).click();
    assert.equal(await field.inputValue(), old);
    assert.ok(await save.isDisabled(), 'nothing has changed yet');
    await field.fill('Suchą smolną szczapą.');
    await save.click();
    await last(page).getByText('2/2').waitFor();
    await last(page).getByText(w('poprawione', 'edited'), { exact: true }).waitFor();
    assert.equal((await last(page).locator('.md').innerText()).trim(), 'Suchą smolną szczapą.');
    assert.deepEqual(answers(mock, thread).map((m) => [wordsOf(m), m.source]), [[old, 'page'], ['Suchą smolną szczapą.', 'edited']]);
    assert.equal(thread.head, answers(mock, thread)[1].id);
    assert.equal(await last(page).locator('.facts').count(), 0, 'no model wrote it');
    // By keys: Shift+Up in the empty field, Ctrl+Shift+Enter keeps and goes on; Escape keeps the draft.
    await box(page).focus();
    await page.keyboard.press('Shift+ArrowUp');
    await until(() => field.inputValue(), 'Suchą smolną szczapą.');
    await field.fill('Najpierw kora brzozy');
    await page.keyboard.press('Escape');
    await field.waitFor({ state: 'detached' });
    await box(page).focus();
    await page.keyboard.press('Shift+ArrowUp');
    await until(() => field.inputValue(), 'Najpierw kora brzozy');
    await page.keyboard.press('Control+Shift+Enter');
    await last(page).getByText('3/3').waitFor();
    await answerDone(page);
    const third = answers(mock, thread)[2];
    assert.ok(wordsOf(third).startsWith('Najpierw kora brzozy') && wordsOf(third).length > 30, wordsOf(third));
    assert.equal(wordsOf(answers(mock, thread)[1]), 'Suchą smolną szczapą.');
    // Words that did not change go on without another version.
    const before = wordsOf(third).length;
    await last(page).getByRole('button', { name: w('Popraw', 'Edit'), exact: true }).click();
    await on.click();
    await until(() => wordsOf(third).length > before + 40, true);
    await answerDone(page);
    assert.equal(answers(mock, thread).length, 3);
    // The next question stands under it, also after a reload.
    await box(page).fill('A potem?');
    await box(page).press('Enter');
    await answerDone(page);
    await page.reload();
    await page.locator('.mine').getByText('A potem?').waitFor();
    await page.getByText('3/3').waitFor();
  } })),
  ...both((lang, w) => ({ name: `an answer begins with the words that were given, and a refused one gives them back (${lang})`, options: { lang, rate: 900 }, async run({ page, mock }) {
    await firstThread(page);
    const thread = pinned(mock);
    const begin = page.getByRole('textbox', { name: w('Odpowiedź zacznie się od słów', 'The answer begins with') });
    const open = page.locator('.composer').getByRole('button', { name: w('Początek odpowiedzi', 'Beginning of the answer') });
    await open.click();
    assert.ok(await begin.evaluate((field) => field === document.activeElement));
    await page.keyboard.type('Są trzy sposoby: ');
    await page.reload(); // it waits, as what is being written does
    await until(() => begin.inputValue(), 'Są trzy sposoby: ');
    await begin.press('Enter'); // nothing is asked yet
    assert.ok(await box(page).evaluate((field) => field === document.activeElement));
    await page.keyboard.type('Jak rozpalić?');
    await page.route('**/turns', (route) => route.fulfill({ status: 503, json: { error: { code: 'engine.full', message: 'too much' } } }), { times: 1 });
    await page.keyboard.press('Enter');
    await page.locator('.notice.bad').waitFor();
    await until(() => begin.inputValue(), 'Są trzy sposoby: ');
    await box(page).press('Enter');
    await answerDone(page);
    await until(() => answers(mock, thread).length, 2);
    const answer = answers(mock, thread)[1];
    assert.ok(wordsOf(answer).startsWith('Są trzy sposoby:') && wordsOf(answer).length > 40, wordsOf(answer));
    assert.ok((await last(page).locator('.md').innerText()).startsWith('Są trzy sposoby:'));
    assert.equal(await begin.count(), 0, 'it was for one answer');
    await last(page).getByRole('button', { name: w('Więcej', 'More'), exact: true }).click();
    await page.getByRole('menuitem', { name: w('Co widział model', 'What the model saw') }).click();
    await page.locator('.span.content', { hasText: 'Są trzy sposoby:' }).getByText(w('początek odpowiedzi', 'beginning of the answer')).waitFor();
    await page.keyboard.press('Escape');
    // Once more, differently: the beginning too.
    await last(page).getByRole('button', { name: w('Więcej', 'More'), exact: true }).click();
    await page.getByRole('menuitem', { name: w('Jeszcze raz inaczej…', 'Once more, differently…') }).click();
    await page.locator('dialog').getByLabel(w('Początek odpowiedzi', 'Beginning of the answer')).fill('Krótko:');
    await page.locator('dialog').getByRole('button', { name: w('Jeszcze raz', 'Once more'), exact: true }).click();
    await last(page).getByText('2/2').waitFor();
    await answerDone(page);
    assert.ok(wordsOf(answers(mock, thread)[2]).startsWith('Krótko:'));
  } })),
];
