// What a hand does by habit: Escape, the same click twice, erasing in one of two tabs, looking somewhere else with something half done. Nothing of it
// may lose or change what was not meant. Each case has a server of its own; where words are looked for, in both languages.
import assert from 'node:assert/strict';

import { answerDone, until } from './harness.mjs';

const both = (make) => ['pl', 'en'].map((lang) => make(lang, (pl, en) => (lang === 'pl' ? pl : en)));
const box = (page) => page.locator('.composer textarea');
const firstThread = async (page) => { await page.locator('.list a').first().click(); await page.waitForSelector('.md > *'); };
/** Requests the server refused from now on. */
function refusals(page) {
  const list = [];
  page.on('response', (answer) => { if (answer.status() >= 400) list.push(`${answer.status()} ${answer.request().method()} ${new URL(answer.url()).pathname}`); });
  return list;
}

export const cases = [
  ...both((lang, w) => ({ name: `a title: Escape calls off, Enter keeps, a click elsewhere keeps (${lang})`, options: { lang }, async run({ page, mock }) {
    await firstThread(page);
    const rename = page.getByTitle(w('Zmień tytuł', 'Change the title'));
    const field = page.getByRole('textbox', { name: w('Tytuł rozmowy', 'Title of the conversation') });
    const title = () => [...mock.house.threads.values()].find((thread) => thread.pinned).title;
    const before = title();
    await rename.click();
    await field.fill('not meant');
    await field.press('Escape');
    await until(() => rename.innerText(), before);
    assert.ok(await rename.evaluate((button) => button === document.activeElement));
    await page.waitForTimeout(200);
    assert.equal(title(), before);
    await rename.click();
    await field.fill('by Enter');
    await field.press('Enter');
    await until(() => [title()], ['by Enter']);
    await rename.click();
    await field.fill('by a click');
    await box(page).click();
    await until(() => [title()], ['by a click']);
  } })),
  ...both((lang, w) => ({ name: `a sending that fails gives back words, file and quote, and the server keeps the draft (${lang})`, options: { lang, rate: 900 }, async run({ page, mock }) {
    await firstThread(page);
    await page.locator('.row-in:not(.mine)').getByRole('button', { name: w('Więcej', 'More'), exact: true }).click();
    await page.getByRole('menuitem', { name: w('Zacytuj', 'Quote'), exact: true }).click();
    await page.locator('.composer input[type=file]').setInputFiles({ name: 'drwa.txt', mimeType: 'text/plain', buffer: Buffer.from('dwa polana') });
    await page.locator('.composer .chip', { hasText: 'drwa.txt' }).waitFor();
    await box(page).fill('Co tu jest?');
    await page.route('**/turns', (route) => route.fulfill({ status: 503, json: { error: { code: 'engine.full', message: 'too much' } } }), { times: 1 });
    await box(page).press('Enter');
    await page.locator('.notice.bad').waitFor();
    await until(() => box(page).inputValue(), 'Co tu jest?');
    await page.locator('.composer .chip', { hasText: 'drwa.txt' }).waitFor();
    await page.locator('.composer .quote').waitFor();
    const kept = () => [...mock.house.threads.values()].map((thread) => thread.draft).filter(Boolean).map((draft) => [draft.text, draft.parts.map((part) => part.name)]);
    await until(kept, [['Co tu jest?', ['drwa.txt']]]);
    await page.reload(); // the quote stays over it too
    await page.locator('.composer .quote').waitFor();
    await until(() => box(page).inputValue(), 'Co tu jest?');
    await page.waitForTimeout(900);
    await box(page).press('Enter');
    await answerDone(page);
    await page.locator('.mine').last().locator('.ref').waitFor();
    await page.locator('.mine').last().getByText('drwa.txt').waitFor();
    assert.equal(await page.locator('.composer .chip, .composer .quote').count(), 0);
    await page.reload();
    await page.waitForSelector('.md > *');
    assert.equal(await page.locator('.composer .quote').count(), 0);
  } })),
  { name: 'a file of a conversation that has not begun waits there, also over a reload and when it arrives elsewhere', options: { lang: 'en' }, async run({ page, mock }) {
    const file = (name) => page.locator('.composer input[type=file]').setInputFiles({ name, mimeType: 'text/plain', buffer: Buffer.from(name) });
    const chips = () => page.locator('.composer .chip').allInnerTexts().then((all) => all.map((one) => one.split(' ')[0]));
    const begin = () => page.locator('.list').getByRole('button', { name: 'New conversation' }).click();
    await page.waitForSelector('.empty');
    await file('one.txt');
    await until(chips, ['one.txt']);
    await firstThread(page);
    await until(chips, []);
    await begin();
    await until(chips, ['one.txt']);
    let go;
    const held = new Promise((resolve) => { go = resolve; });
    await page.route('**/attachments', async (route) => { await held; await route.continue(); }, { times: 1 });
    await file('two.txt');
    await firstThread(page);
    go();
    await page.waitForTimeout(300);
    assert.deepEqual(await chips(), []);
    assert.equal([...mock.house.threads.values()].filter((thread) => thread.draft).length, 0);
    await begin();
    await until(chips, ['one.txt', 'two.txt']);
    await page.reload();
    await until(chips, ['one.txt', 'two.txt']);
  } },
  ...both((lang, w) => ({ name: `a persona half written waits while the settings are closed by Escape (${lang})`, options: { lang }, async run({ page }) {
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: w('Persony', 'Personas') }).click();
    await page.getByRole('button', { name: w('Nowa persona', 'New persona') }).click();
    await page.getByLabel(w('Imię', 'Name'), { exact: true }).fill('Baca');
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    await page.keyboard.press('Control+,');
    await until(() => page.getByLabel(w('Imię', 'Name'), { exact: true }).inputValue(), 'Baca');
    await page.getByRole('button', { name: w('Anuluj', 'Cancel') }).click();
    await page.getByRole('button', { name: w('Nowa persona', 'New persona') }).waitFor();
  } })),
  ...both((lang, w) => ({ name: `a conversation erased in one tab is gone in the other, and nothing is asked of it any more (${lang})`, options: { lang }, async run({ page, home }) {
    await firstThread(page);
    const other = await page.context().newPage();
    await other.goto(home.split('#')[0] + new URL(page.url()).hash);
    await other.waitForSelector('.md > *');
    const refused = [refusals(page), refusals(other)];
    await box(other).fill('nie zginie');
    await other.waitForTimeout(900);
    await page.getByRole('button', { name: w('Więcej o rozmowie', 'More about this conversation') }).click();
    await page.getByRole('menuitem', { name: w('Usuń rozmowę', 'Erase the conversation') }).click();
    await page.locator('dialog').getByRole('button', { name: w('Usuń na zawsze', 'Erase for good') }).click();
    await page.waitForSelector('.empty');
    await other.getByText(w('Tej rozmowy już tu nie ma.', 'This conversation is no longer here.')).waitFor();
    assert.equal(await other.locator('.composer').count(), 0);
    assert.equal(await other.locator('.row-in').count(), 0);
    await other.locator('.sheet').getByRole('button', { name: w('Nowa rozmowa', 'New conversation') }).click();
    await until(() => box(other).inputValue(), 'nie zginie'); // what was being written there waits where a new one begins
    await other.waitForTimeout(900);
    assert.deepEqual(refused, [[], []]);
    await other.close();
  } })),
  { name: 'a password set a moment ago is asked for when it is changed again', options: { lang: 'en' }, async run({ page, mock }) {
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: 'Door and data' }).click();
    assert.equal(await page.getByLabel('Current password').count(), 0);
    await page.getByLabel(/^New password/).fill('pierwsze haslo');
    await page.getByRole('button', { name: 'Save password' }).click();
    await page.getByLabel('Current password').fill('pierwsze haslo');
    const [sent] = await Promise.all([page.waitForRequest('**/password'), page.getByLabel(/^New password/).fill('drugie haslo').then(() => page.getByRole('button', { name: 'Save password' }).click())]);
    assert.deepEqual(sent.postDataJSON(), { current: 'pierwsze haslo', password: 'drugie haslo' });
    mock.house.options.password = null; // the mock lets this page in again
  } },
  ...both((lang, w) => ({ name: `the same hit, and the same pinned message, chosen twice are gone to twice (${lang})`, options: { lang, rate: 3000 }, view: { viewport: { width: 1000, height: 420 } }, async run({ page }) {
    await page.locator('.list a', { hasText: 'Opowieść' }).click();
    await page.waitForSelector('.md > *');
    await box(page).fill('napisz długo');
    await box(page).press('Enter');
    await answerDone(page);
    const asked = page.locator('.row-in', { hasText: 'o wieczorze w Łodzi' });
    await page.locator('.log').evaluate((log) => { log.scrollTop = 0; });
    const seen = () => page.locator('.log').evaluate((log) => log.scrollTop < 200);
    const leave = async () => { await page.locator('.log').hover(); await page.mouse.wheel(0, 6000); await until(seen, false); };
    await until(() => asked.count(), 1);
    await asked.getByRole('button', { name: w('Więcej', 'More'), exact: true }).click();
    await page.getByRole('menuitem', { name: w('Przypnij', 'Pin'), exact: true }).click();
    for (let i = 0; i < 2; i++) {
      await leave();
      await page.keyboard.press('Control+k');
      await page.locator('.query').fill('lodz');
      await page.getByRole('option', { name: /Łodzi/ }).last().click();
      await until(seen, true);
    }
    for (let i = 0; i < 2; i++) {
      await leave();
      await page.getByRole('button', { name: w('Więcej o rozmowie', 'More about this conversation') }).click();
      await page.getByRole('menuitem', { name: w('Przypięte wiadomości', 'Pinned messages') }).click();
      await page.locator('dialog .hit').first().click();
      await until(seen, true);
    }
  } })),
  { name: 'a language chosen by hand wins over the address, from then on', options: { lang: 'en' }, async run({ page, mock }) {
    await page.keyboard.press('Control+,');
    await page.getByLabel('Language').selectOption('pl');
    await page.getByRole('heading', { name: 'Ustawienia' }).waitFor();
    assert.equal(new URL(page.url()).searchParams.get('lang'), null);
    await page.reload();
    await page.getByRole('link', { name: /Półka/ }).waitFor();
    await page.goto(`${mock.url}/?lang=en`); // an address asked for anew counts until the next choice
    await page.getByRole('link', { name: /Shelf/ }).waitFor();
    await page.keyboard.press('Control+k');
    await page.locator('.query').fill('polski');
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: /Półka/ }).waitFor();
  } },
  { name: 'own theme: a card put on takes the editor with it; what waited to be saved does not come back', options: { lang: 'en' }, async run({ page, mock }) {
    const theme = () => mock.house.settings['look.custom_theme'];
    const worn = (token) => page.evaluate((name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim().toUpperCase(), token);
    await page.keyboard.press('Control+,');
    await page.getByRole('button', { name: 'A theme of your own' }).click();
    await page.getByLabel('gold', { exact: true }).fill('#123456');
    await until(() => theme()?.tokens.gold, '#123456');
    await page.getByRole('radio', { name: 'Paper' }).click();
    await until(() => theme(), null);
    await until(() => page.getByLabel('gold', { exact: true }).inputValue(), '#76560f');
    await page.getByLabel('ember', { exact: true }).fill('#8c2f22');
    await until(() => [theme()?.base, theme()?.tokens.ember, theme()?.tokens.gold, theme()?.tokens.bg], ['papier', '#8c2f22', '#76560f', '#efe3cd']);
    await page.getByLabel('ember', { exact: true }).fill('#8c2f23');
    await page.getByRole('radio', { name: 'Paper' }).click(); // within the moment in which the last colour waits
    await page.waitForTimeout(900);
    assert.equal(theme(), null);
    assert.equal(await worn('ember'), '#8C2F21');
    await page.getByLabel('ember', { exact: true }).fill('#8c2f24');
    await page.keyboard.press('Escape'); // closed at once: the change is kept
    await until(() => theme()?.tokens.ember, '#8c2f24');
    await page.keyboard.press('Control+,');
    await page.getByRole('button', { name: 'Your theme: My hut' }).click();
    const { name: _none, ...nameless } = theme();
    await page.locator('.editor input[type=file]').setInputFiles({ name: 'hut.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify({ ...nameless, base: 'nowhere' })) });
    await page.waitForTimeout(300);
    await until(() => [theme()?.name, theme()?.base], ['My hut', 'papier']);
  } },
];
