// What was begun and not saved is there again: after a reload in the middle of a word, after another room. It says that it is a draft.
import assert from 'node:assert/strict';

import { answerDone, until } from './harness.mjs';

const en = { lang: 'en', rate: 900 };
const firstThread = async (page) => { await page.locator('.list a[data-thread]').first().click(); await page.waitForSelector('.md > *'); };
const anew = async (page) => { await page.reload(); await page.waitForSelector('.home'); }; // keys pressed before that reach nobody
const personas = async (page) => { await page.keyboard.press('Control+,'); await page.getByRole('tab', { name: 'Personas' }).click(); };
const ask = async (page) => { await page.evaluate(() => { location.hash = '#/obok'; }); await page.waitForSelector('.obok form'); };
const elsewhere = (page, path, body) => page.evaluate(([to, what]) => fetch(`/watra/v1${to}`, { method: 'POST', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify(what) }).then((r) => r.json()), [path, body]);

export const cases = [
  { name: 'drafts: a persona half written is there after a reload, beside one half changed, until it is saved or let go', options: en, async run({ page, mock }) {
    const name = page.getByLabel('Name', { exact: true });
    const how = page.getByLabel('Who it is and how it speaks');
    const old = [...mock.house.personas.values()][0];
    await personas(page);
    await page.getByRole('button', { name: 'New persona' }).click();
    await how.fill('Speaks little');
    await anew(page);
    await personas(page);
    const unnamed = page.getByRole('button', { name: /^No name yet Draft/ });
    await unnamed.click();
    await until(() => how.inputValue(), 'Speaks little');
    await page.getByText('It waits in this browser, nothing is lost.').waitFor();
    await page.getByRole('button', { name: 'Finish later' }).click();
    const known = page.getByRole('button', { name: new RegExp(`^${old.name}`) });
    await known.click();
    await how.fill(`${old.text} And sings.`);
    await anew(page);
    await personas(page);
    await page.getByRole('button', { name: new RegExp(`^${old.name} Draft`) }).click();
    await until(() => how.inputValue(), `${old.text} And sings.`);
    assert.equal(mock.house.personas.get(old.id).text.includes('sings'), false); // it is a draft: what is used is what was saved
    await page.getByRole('button', { name: 'Save the persona' }).click();
    await until(() => mock.house.personas.get(old.id).text.endsWith('And sings.'), true);
    await until(() => page.locator('.who .chip').count(), 1);
    await unnamed.click();
    await name.fill('Baca');
    await page.getByRole('button', { name: 'Let the draft go' }).click();
    await until(() => page.locator('.who .chip').count(), 0);
    await anew(page);
    await personas(page);
    await page.getByRole('button', { name: 'New persona' }).waitFor();
    assert.equal(await page.locator('.who .chip').count(), 0);
    await known.click(); // and what is written back to what is saved is a draft no more
    await how.pressSequentially('!');
    await page.locator('.who .chip').waitFor();
    await how.press('Backspace');
    await until(() => page.locator('.who .chip').count(), 0);
  } },
  { name: 'drafts: a name for ready-made settings, and a hint to the model, outlive a reload in the middle of a word', options: en, async run({ page, mock }) {
    const speaks = page.getByRole('button', { name: 'How it speaks' });
    await firstThread(page);
    await speaks.click();
    await page.getByLabel('Temperature', { exact: true }).first().fill('0.55');
    await page.getByLabel('Temperature', { exact: true }).first().press('Tab');
    await page.getByRole('button', { name: 'Keep these settings' }).click();
    await page.getByLabel('What shall they be called?').fill('Half');
    await page.getByLabel('Hint to the model').fill('You are a she');
    await anew(page);
    await speaks.click();
    await until(() => page.getByLabel('Hint to the model').inputValue(), 'You are a she');
    await until(() => page.getByLabel('What shall they be called?').inputValue(), 'Half');
    await page.locator('dialog').getByText('It waits in this browser, nothing is lost.').waitFor();
    await page.getByLabel('What shall they be called?').fill('Halfway');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByRole('button', { name: 'Halfway', exact: true }).waitFor();
    await page.getByLabel('What shall they be called?').waitFor({ state: 'detached' });
    assert.equal([...mock.house.threads.values()].filter((thread) => thread.system === 'You are a she').length, 1);
  } },
  { name: 'drafts: a question to several models waits with its models, hint and blindness; asked, it is a draft no more', options: en, async run({ page }) {
    const question = page.getByRole('textbox', { name: 'Question' });
    await ask(page);
    await question.fill('Who lit the first fire?');
    await page.getByLabel('Model B').selectOption({ index: 0 });
    await page.getByLabel('Blind').uncheck();
    const chosen = await page.getByLabel('Model B').inputValue();
    await page.evaluate(() => { location.hash = '#/polka'; });
    await page.waitForSelector('.model');
    await anew(page);
    await ask(page);
    assert.deepEqual([await question.inputValue(), await page.getByLabel('Model B').inputValue(), await page.getByLabel('Blind').isChecked()], ['Who lit the first fire?', chosen, false]);
    await page.getByText('It waits in this browser, nothing is lost.').waitFor();
    await page.getByRole('button', { name: 'Ask', exact: true }).click();
    await page.getByRole('heading', { name: 'Who lit the first fire?' }).waitFor();
    await ask(page);
    assert.deepEqual([await question.inputValue(), await page.getByLabel('Blind').isChecked()], ['', false]);
  } },
  { name: 'drafts: an answer pasted from elsewhere waits beside its own question', options: en, async run({ page, mock }) {
    const make = async (question) => {
      const compare = await elsewhere(page, '/compares', { client_id: question, question, blind: false, columns: [{ model: 'bielik-11b-v3' }, { model: 'smollm2' }] });
      await until(() => mock.house.compares.get(compare.id).state, 'done');
      return compare;
    };
    const [one, two] = [await make('One?'), await make('Two?')];
    const go = async (compare) => { await page.evaluate((id) => { location.hash = `#/obok/${id}`; }, compare.id); await page.getByRole('heading', { name: compare.question }).waitFor(); };
    await go(one);
    await page.getByRole('button', { name: 'Paste an answer from elsewhere' }).click();
    await page.getByRole('textbox', { name: 'Answer', exact: true }).fill('Embers.');
    await anew(page);
    await go(two);
    assert.equal(await page.locator('.paste').count(), 0);
    await go(one);
    await until(() => page.getByRole('textbox', { name: 'Answer', exact: true }).inputValue(), 'Embers.');
    await page.getByLabel('Where this answer is from').fill('a book');
    await page.getByRole('button', { name: 'Add the column' }).click();
    await page.locator('.column', { hasText: 'a book' }).waitFor();
    await page.locator('.paste').waitFor({ state: 'detached' });
  } },
  { name: 'drafts: a message half edited is open again after a reload, and waits where its field was closed', options: en, async run({ page }) {
    const field = page.getByLabel('Text being edited');
    const edit = async () => { await page.locator('.row-in.mine').first().hover(); await page.locator('.row-in.mine').first().getByRole('button', { name: 'Edit', exact: true }).click(); };
    await firstThread(page);
    const here = new URL(page.url()).hash;
    await edit();
    const was = await field.inputValue();
    await field.fill(`${was} And now?`);
    await anew(page);
    await until(() => field.inputValue(), `${was} And now?`);
    await field.press('Escape');
    await field.waitFor({ state: 'detached' });
    await page.locator('.list a[data-thread]').nth(1).click();
    await page.waitForSelector('.md > *');
    await page.evaluate((hash) => { location.hash = hash; }, here);
    await page.waitForSelector('.row-in.mine');
    assert.equal(await field.count(), 0); // it was closed, so it opens by hand only
    await edit();
    await until(() => field.inputValue(), `${was} And now?`);
    await page.getByRole('button', { name: 'Let the draft go' }).click();
    await edit();
    await until(() => field.inputValue(), was);
  } },
  { name: 'drafts: a theme of one’s own that was taken off waits, and is put on again; the last colour before a reload is kept', options: en, async run({ page, mock }) {
    const theme = () => mock.house.settings['look.custom_theme'];
    await page.keyboard.press('Control+,');
    await page.getByRole('button', { name: 'A theme of your own' }).click();
    await page.getByLabel('gold', { exact: true }).fill('#123456');
    await anew(page); // within the moment in which the colour waits
    await until(() => theme()?.tokens.gold, '#123456');
    await page.keyboard.press('Control+,');
    await page.getByRole('radio', { name: 'Paper' }).click();
    await until(theme, null);
    const laid = page.getByRole('list', { name: /were taken off/ });
    await laid.getByText('My hut').waitFor();
    await anew(page);
    await page.keyboard.press('Control+,');
    await laid.getByRole('button', { name: 'Put on' }).click();
    await until(() => [theme()?.name, theme()?.tokens.gold], ['My hut', '#123456']);
    await laid.waitFor({ state: 'detached' });
    await page.getByRole('radio', { name: 'Paper' }).click();
    await page.getByRole('button', { name: 'Throw the theme My hut away' }).click();
    await laid.waitFor({ state: 'detached' });
  } },
  ...['en', 'pl'].map((lang) => ({ name: `drafts: two windows on one conversation: an untouched field follows, words of one's own stay beside the others (${lang})`, options: { lang, rate: 900 }, async run({ page, mock }) {
    const w = (pl, en) => (lang === 'pl' ? pl : en);
    const area = (one) => one.locator('.composer textarea');
    const said = (one) => area(one).inputValue();
    const kept = () => [...mock.house.threads.values()].map((thread) => thread.draft?.text).filter(Boolean);
    await firstThread(page);
    const other = await page.context().newPage();
    await other.goto(page.url());
    await other.waitForSelector('.md > *');
    await area(page).pressSequentially('From the first');
    await until(() => said(other), 'From the first'); // an empty field follows
    await area(other).press('End');
    await area(other).pressSequentially(' and the second');
    await until(() => said(page), 'From the first and the second'); // an untouched one too
    assert.equal(await page.locator('.second').count(), 0); // nothing is lost by it
    await area(page).fill('');
    await until(() => said(other), '');
    await until(kept, []);
    // Both write at once: the words of the other window arrive while these are not saved yet.
    await page.route('**/threads/*', (route) => (route.request().method() === 'PATCH' ? undefined : route.continue()));
    await area(page).pressSequentially('Mine');
    await area(other).pressSequentially('Theirs');
    await page.locator('.second').getByText(w('W drugim oknie napisano co innego.', 'The other window has written something else.')).waitFor();
    assert.equal(await said(page), 'Mine');
    await page.unroute('**/threads/*');
    await area(page).press('End');
    await area(page).pressSequentially('!');
    await until(kept, ['Mine!']); // the later write wins
    await until(() => said(other), 'Mine!');
    await other.locator('.second').getByText(w('To, co napisano w tym oknie, czeka.', 'What was written in this window waits.')).waitFor();
    await page.locator('.second').getByRole('button', { name: w('Weź tamto', 'Take that') }).click();
    await until(() => said(page), 'Theirs');
    await until(kept, ['Theirs']);
    await until(() => said(other), 'Theirs');
    await page.locator('.second').getByRole('button', { name: w('Przywróć', 'Put it back') }).click();
    await until(() => said(page), 'Mine!');
    await page.locator('.second').getByRole('button', { name: w('Porzuć szkic', 'Let the draft go') }).click();
    assert.equal(await page.locator('.second').count(), 0);
    await until(kept, ['Mine!']);
    await area(page).press('Enter'); // said: it waits nowhere any more
    await until(() => said(other), '');
    await until(kept, []);
    await answerDone(page);
    // What was written in one window outlives what is said over it in another, and an answer that is asked for once more.
    await area(other).pressSequentially('Not said yet');
    await until(() => said(page), 'Not said yet');
    await area(page).fill('Something else');
    await area(page).press('Enter');
    await page.locator('.row-in.mine', { hasText: 'Something else' }).waitFor();
    await answerDone(page);
    await until(kept, ['Not said yet']);
    await until(() => said(page), 'Not said yet');
    assert.equal(await said(other), 'Not said yet');
    await other.locator('.row-in:not(.mine)').last().getByRole('button', { name: w('Jeszcze raz', 'Once more'), exact: true }).click();
    await answerDone(other);
    await until(kept, ['Not said yet']);
    assert.equal(await said(other), 'Not said yet');
    await other.close();
  } })),
  { name: 'drafts: what is being written stays while an answer is asked for once more, gone on with, or an edit is sent; what is said goes', options: en, async run({ page, mock }) {
    await firstThread(page);
    const field = page.locator('.composer .line textarea');
    const thread = [...mock.house.threads.values()].find((one) => one.pinned);
    const kept = () => thread.draft?.text ?? null;
    await field.fill('not said yet');
    await until(kept, 'not said yet');
    await page.getByRole('button', { name: 'Once more' }).last().click();
    await answerDone(page);
    await page.getByRole('button', { name: 'Edit' }).first().click();
    await page.getByLabel('Text being edited').fill('said otherwise');
    await page.getByRole('button', { name: 'Send edited' }).click();
    await answerDone(page);
    assert.deepEqual([kept(), await field.inputValue()], ['not said yet', 'not said yet']);
    await anew(page);
    await until(() => field.inputValue(), 'not said yet');
    await field.press('End');
    await page.keyboard.type(' but now');
    await page.keyboard.press('Enter'); // before the last keys were kept
    await answerDone(page);
    await until(kept, null);
    await page.waitForTimeout(900);
    assert.deepEqual([kept(), await field.inputValue()], [null, '']);
  } },
];
