// What a hand does by habit: Escape, the same click twice, erasing in one of two tabs, looking somewhere else with something half done. Nothing of it
// may lose or change what was not meant. Each case has a server of its own; where words are looked for, in both languages.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

import { answerDone, until } from './harness.mjs';

const both = (make) => ['pl', 'en'].map((lang) => make(lang, (pl, en) => (lang === 'pl' ? pl : en)));
const box = (page) => page.locator('.composer textarea');
const firstThread = async (page) => { await page.locator('.list a[data-thread]').first().click(); await page.waitForSelector('.md > *'); };
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
  ...both((lang, w) => ({ name: `a conversation begins with a persona: chosen before the first word, kept over a reload, asked once (${lang})`, options: { lang, rate: 900 }, async run({ page, mock }) {
    const whom = page.getByRole('radiogroup', { name: w('Z kim rozmawiać?', 'Whom to talk with?') });
    const [persona] = mock.house.personas.values();
    await whom.getByRole('radio', { name: persona.name }).click();
    await page.reload();
    await until(() => whom.getByRole('radio', { name: persona.name }).getAttribute('aria-checked'), 'true');
    await box(page).fill('raz');
    await box(page).press('Enter');
    await answerDone(page);
    await until(() => [...mock.house.threads.values()].filter((thread) => thread.persona === persona.id).length, 1);
    await page.getByRole('button', { name: w('Nowa rozmowa', 'New conversation') }).first().click();
    await until(() => whom.getByRole('radio', { name: w('bez persony', 'no persona') }).getAttribute('aria-checked'), 'true'); // the next one is anybody's again
  } })),
  { name: 'in an empty field the arrows leaf through the last answer’s versions, and Ctrl+Enter asks once more; words typed keep their keys', options: { lang: 'en', rate: 900 }, async run({ page }) {
    await firstThread(page);
    await box(page).focus();
    await page.keyboard.press('Control+Enter');
    await page.getByText('2/2').waitFor();
    await answerDone(page);
    await page.keyboard.press('ArrowLeft');
    await page.getByText('1/2').waitFor();
    await page.keyboard.press('ArrowLeft'); // there is none before
    await page.getByText('1/2').waitFor();
    await page.keyboard.press('ArrowRight');
    await page.getByText('2/2').waitFor();
    await box(page).fill('ab');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.type('c');
    await until(() => box(page).inputValue(), 'acb');
    assert.equal(await page.getByText('2/2').count(), 1);
  } },
  ...both((lang, w) => ({ name: `what can be done with a conversation and its last answer is in the palette, with its keys, and in the sheet of keys (${lang})`, options: { lang, rate: 900 }, async run({ page, mock }) {
    const thread = () => [...mock.house.threads.values()].find((one) => one.title === 'Skrypt do kopii zdjęć');
    const group = page.getByRole('group', { name: w('Ta rozmowa i jej ostatnia odpowiedź', 'This conversation and its last answer') });
    const shut = async () => { await page.keyboard.press('Escape'); await page.locator('dialog').waitFor({ state: 'detached' }); };
    const palette = async () => { await page.keyboard.press('Control+k'); await page.locator('.query').waitFor(); };
    const act = async (pl, en) => { await palette(); await page.locator('.query').fill(w(pl, en)); await group.getByRole('option', { name: w(pl, en) }).first().click(); await page.locator('.query').waitFor({ state: 'detached' }); };
    await page.waitForSelector('.empty');
    await palette(); // where no conversation is open there is nothing to do with one
    await page.locator('.row-p').first().waitFor();
    assert.equal(await group.count(), 0);
    await shut();
    await page.locator('.list a', { hasText: 'Skrypt' }).click();
    await page.waitForSelector('.md > *');
    await palette();
    await until(() => group.getByRole('option', { name: w('Jeszcze raz', 'Once more') }).locator('.sub').innerText(), 'Ctrl+Enter');
    assert.equal(await group.getByRole('option', { name: w('Poprzednia wersja', 'Previous version') }).count(), 0); // there is one alone
    await shut();
    await act('Jeszcze raz', 'Once more');
    await page.getByText('2/2').waitFor();
    await answerDone(page);
    await act('Poprzednia wersja', 'Previous version');
    await page.getByText('1/2').waitFor();
    await act('Zacytuj', 'Quote');
    await page.locator('.composer .quote').waitFor();
    await until(() => page.evaluate(() => document.activeElement?.tagName), 'TEXTAREA');
    await act('Przypnij rozmowę', 'Pin the conversation');
    await until(() => thread().pinned, true);
    await act('Odepnij rozmowę', 'Unpin the conversation');
    await until(() => thread().pinned, false);
    await act('Przypnij ostatnią odpowiedź', 'Pin the last answer');
    await until(() => [...mock.house.messages.values()].filter((one) => one.thread === thread().id && one.pinned).length, 1);
    await act('Co widział model', 'What the model saw');
    await page.locator('dialog .span').first().waitFor();
    await shut();
    const [file] = await Promise.all([page.waitForEvent('download'), act('Zapisz jako Markdown', 'Save as Markdown')]);
    assert.ok(file.suggestedFilename().endsWith('.md'));
    await box(page).press('Control+Shift+Enter'); // the rest of it, by keys
    await until(() => page.locator('.log[aria-busy=true]').count(), 0);
    await act('Osobna rozmowa odtąd', 'New conversation from here');
    await page.getByText(w('Nowa rozmowa zaczyna się w tym miejscu.', 'A new conversation begins here.')).first().waitFor();
    await page.locator('.log').focus();
    await page.keyboard.press('?');
    const sheet = page.locator('dialog');
    await until(() => sheet.locator('li').allInnerTexts().then((all) => all.map((one) => one.trim())), [w('Zacytuj', 'Quote'), w('Podaj początek odpowiedzi', 'Give the beginning of the answer'), w('Co widział model', 'What the model saw'), w('Osobna rozmowa odtąd', 'New conversation from here'), w('Przeczytaj na głos', 'Read aloud'), w('Przypnij rozmowę', 'Pin the conversation'), w('Przypnij ostatnią odpowiedź', 'Pin the last answer'), w('Zapisz jako Markdown', 'Save as Markdown'), w('Zapisz jako JSON', 'Save as JSON')]);
    await sheet.getByText(w('Kontynuuj (puste pole)', 'Continue (empty field)')).waitFor();
  } })),
  { name: 'when a conversation was begun, an answer made, a comparison asked: told where one looks for it', options: { lang: 'en', rate: 900 }, async run({ page, mock }) {
    const whole = (ms) => page.evaluate((at) => new Intl.DateTimeFormat('en', { dateStyle: 'long', timeStyle: 'short' }).format(at), ms);
    const title = async (of) => (await of.getAttribute('title')).replaceAll('\u00a0', ' ');
    await page.locator('.list a', { hasText: 'Opowieść' }).click();
    await page.waitForSelector('.md > *');
    const thread = [...mock.house.threads.values()].find((one) => one.title.includes('Opowieść'));
    const answer = [...mock.house.messages.values()].findLast((one) => one.thread === thread.id && one.role === 'assistant');
    assert.equal(await title(page.locator('.list a', { hasText: 'Opowieść' })), `Begun ${await whole(thread.created_ms)}; last word ${await whole(thread.updated_ms)}`);
    assert.equal(await title(page.locator('.row-in:not(.mine) time').last()), await whole(answer.at_ms));
    await page.locator('button.facts').last().click();
    await page.locator('dl div', { hasText: 'Made' }).getByText(await whole(answer.at_ms)).waitFor();
    await page.getByRole('button', { name: 'More about this conversation' }).click();
    await page.getByText(`Begun ${await whole(thread.created_ms)}`).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('link', { name: /Side by side/ }).click();
    await page.getByLabel('Question', { exact: true }).fill('Say one word.');
    await page.getByRole('button', { name: 'Ask', exact: true }).click();
    await page.locator('.asked time').waitFor();
    assert.equal(await title(page.locator('.asked time')), await whole([...mock.house.compares.values()].at(-1).created_ms));
  } },
  { name: 'search goes on to older hits, by the keyboard too, until there are no more', options: { lang: 'en', big: true }, async run({ page }) {
    await page.keyboard.press('Control+k');
    await page.locator('.query').fill('pytanie numer');
    const hits = page.locator('[role=option]:has(.snippet)');
    await until(() => hits.count(), 30);
    const more = page.getByRole('option', { name: 'Show older hits' });
    await page.keyboard.press('ArrowUp'); // from the first to the last
    await until(() => more.getAttribute('aria-selected'), 'true');
    await page.keyboard.press('Enter');
    await until(() => hits.count(), 60);
    const chosen = page.locator('[role=option][aria-selected=true]');
    await until(() => hits.nth(30).getAttribute('aria-selected'), 'true'); // one goes on where one was
    assert.ok(await chosen.evaluate((row) => { const box = row.closest('.list').getBoundingClientRect(); const at = row.getBoundingClientRect(); return at.top >= box.top - 1 && at.bottom <= box.bottom + 1; }), 'the first of the older hits is out of sight');
    const all = await page.evaluate(async () => (await (await fetch('/watra/v1/search?q=pytanie%20numer&limit=60')).json()).hits.map((hit) => hit.message));
    assert.equal(new Set(all).size, 60);
    await more.click();
    await until(() => hits.count(), 90);
    await page.locator('.query').fill('opowieść o');
    await until(() => more.count(), 0); // all of it is there
    await page.locator('.query').fill('pytanie numer');
    await until(() => hits.count(), 30);
  } },
  { name: 'search shows what was said in the open conversation first', options: { lang: 'en' }, async run({ page }) {
    await page.locator('.list a', { hasText: 'Opowieść' }).click();
    await page.waitForSelector('.md > *');
    await page.keyboard.press('Control+k');
    await page.locator('.query').fill('lodz');
    await page.getByRole('group', { name: 'In this conversation' }).getByRole('option').first().waitFor();
    await page.keyboard.press('Escape');
    await page.locator('.list a', { hasText: 'Skrypt' }).click();
    await page.waitForSelector('.md .code');
    await page.keyboard.press('Control+k');
    await page.locator('.query').fill('lodz');
    await page.getByRole('option', { name: /Łodz/ }).first().waitFor();
    assert.equal(await page.getByRole('group', { name: 'In this conversation' }).count(), 0);
  } },
  { name: 'words marked in an answer go into the message as a quotation, and the list of conversations is put away and comes back', options: { lang: 'en', rate: 900 }, async run({ page }) {
    await firstThread(page);
    await box(page).fill('And this?');
    const words = page.locator('.row-in:not(.mine) .md li').first();
    await words.click({ clickCount: 3 });
    await page.getByRole('button', { name: 'Quote what is marked' }).click();
    await until(() => box(page).inputValue(), `And this?\n\n> ${await words.innerText()}\n\n`);
    assert.equal(await page.evaluate(() => document.activeElement?.tagName), 'TEXTAREA');
    await page.getByRole('button', { name: 'Quote what is marked' }).waitFor({ state: 'detached' });
    const list = page.locator('aside.list');
    await page.keyboard.press('Control+b');
    await list.waitFor({ state: 'hidden' });
    await page.reload();
    await page.waitForSelector('.md > *');
    assert.equal(await list.isVisible(), false);
    await page.locator('.beam').getByRole('button', { name: 'Conversations' }).click();
    await list.waitFor({ state: 'visible' });
    await page.getByRole('button', { name: 'Put the list of conversations away' }).click();
    await list.waitFor({ state: 'hidden' });
    await page.keyboard.press('Control+b');
    await list.waitFor({ state: 'visible' });
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
    await page.getByRole('button', { name: w('Porzuć szkic', 'Let the draft go') }).click();
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
    await page.locator('.log').hover();
    await until(async () => { await page.mouse.wheel(0, -20_000); return asked.count(); }, 1); // by hand: what follows the stream lets go
    const seen = () => page.locator('.log').evaluate((log) => log.scrollTop < 200);
    const leave = async () => { await page.locator('.log').hover(); await page.mouse.wheel(0, 6000); await until(seen, false); };
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
  { name: 'leafing through versions leaves the message where it stands, and the focus on the sign', options: { lang: 'en', rate: 3000 }, view: { viewport: { width: 1100, height: 600 } }, async run({ page, mock }) {
    await page.locator('.list a', { hasText: 'Opowieść' }).click();
    await page.waitForSelector('.md > *');
    mock.house.options.says = 'Długo, i jeszcze dłużej. '.repeat(160);
    await box(page).fill('napisz');
    await box(page).press('Enter');
    await answerDone(page);
    mock.house.options.says = 'Krótko, a potem nic. '.repeat(9);
    const answer = page.locator('.row-in:not(.mine)').last();
    await answer.getByRole('button', { name: 'Once more' }).click();
    await page.getByText('2/2').waitFor();
    await answerDone(page);
    const top = () => answer.evaluate((row) => Math.round(row.getBoundingClientRect().top));
    const text = () => answer.locator('.md').innerText().then((said) => said.startsWith('Krótko'));
    await page.waitForTimeout(300);
    const before = await top();
    await page.getByRole('button', { name: 'Previous version' }).click();
    await until(text, false);
    for (let i = 0; i < 6; i++) { assert.ok(Math.abs((await top()) - before) <= 2, `${await top()} for ${before}`); await page.waitForTimeout(150); }
    assert.equal(await page.evaluate(() => document.activeElement?.closest('.versions') !== null), true);
    await page.getByRole('button', { name: 'To the end' }).click();
    const sign = () => page.locator('.versions').last().evaluate((one) => Math.round(one.getBoundingClientRect().top));
    await page.waitForTimeout(200);
    const stood = await sign();
    await page.getByRole('button', { name: 'Next version' }).click();
    await until(text, true);
    await page.waitForTimeout(800);
    assert.ok(Math.abs((await sign()) - stood) <= 2, `${await sign()} for ${stood}`); // where only the end was seen, the end stays
  } },
  ...both((lang, w) => ({ name: `machine room: moments apart have hours apart, and no two parts of memory one colour (${lang})`, options: { lang }, async run({ page, mock }) {
    mock.house.memoryRows = ['weights', 'kv', 'pages', 'draft', 'disk ring', 'scratch', 'program and vocabulary', 'store', 'else'].map((tag, i) => ({ tier: 'ram', tag, bytes: (i + 1) * 1e9 }));
    await page.addInitScript(() => { const put = CanvasRenderingContext2D.prototype.fillText; globalThis.written = []; CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) { globalThis.written.push(String(text)); return put.call(this, text, ...rest); }; });
    await page.reload();
    await page.evaluate(() => { location.hash = '#/maszynownia'; });
    await page.waitForSelector('.plot canvas');
    await until(() => page.evaluate(() => new Set(globalThis.written.filter((text) => /^\d\d?:\d\d/.test(text))).size > 2), true);
    const colours = await page.locator('figure.ram li i').evaluateAll((all) => all.map((one) => getComputedStyle(one).backgroundColor));
    assert.equal(colours.length, 9);
    assert.equal(new Set(colours).size, 9);
    await page.getByText(w('pamięć rozmów', 'conversations')).first().waitFor();
  } })),
  ...both((lang, w) => ({ name: `what does not fit is not said: nobody by the fire, a dead server, an answer of no tokens, no fire to calm (${lang})`, options: { lang, rate: 4 }, async run({ page, mock }) {
    const { house } = mock;
    const thread = [...house.threads.values()].find((one) => one.pinned);
    const answer = [...house.messages.values()].find((one) => one.thread === thread.id && one.role === 'assistant');
    Object.assign(answer, { state: 'interrupted' });
    answer.answer.decode_tokens_per_s = 0;
    thread.model = 'smollm2';
    house.engine = { state: 'empty', model: null, n_ctx: null, vision: false };
    house.settings['look.fire'] = 'none';
    await page.reload();
    await firstThread(page);
    assert.equal(await page.locator('.facts').count(), 1);
    await until(async () => (await page.locator('.facts').innerText()).replaceAll('\u00a0', ' '), w('O tej odpowiedzi', 'About this answer'));
    await until(() => box(page).getAttribute('placeholder'), w('Napisz coś, model wczyta się po wysłaniu…', 'Write something; the model loads when it is sent…'));
    await page.locator('.list').getByRole('button', { name: w('Nowa rozmowa', 'New conversation') }).click();
    await until(() => box(page).getAttribute('placeholder'), w('Najpierw wybierz model na Półce…', 'Choose a model on the shelf first…'));
    assert.equal(await page.getByRole('button', { name: w('Uspokój ogień', 'Calm the fire') }).count(), 0);
    await firstThread(page);
    house.engine = { state: 'ready', model: 'bielik-11b-v3', n_ctx: 8192, vision: false };
    await box(page).fill('pomyśl długo');
    await box(page).press('Enter');
    await page.getByRole('button', { name: w('Zatrzymaj', 'Stop') }).waitFor();
    await page.waitForFunction(() => document.querySelector('.progress, .row-in:last-child .md'));
    await page.route('**/events**', (route) => route.abort());
    for (const stream of house.streams) stream.destroy();
    await page.getByText(w('Dalszy ciąg pokaże się, gdy serwer wróci.', 'The rest shows when the server is back.')).waitFor();
    assert.equal(await page.locator('.progress').count(), 0);
    assert.equal(await page.getByRole('button', { name: w('Zatrzymaj', 'Stop') }).isDisabled(), true);
  } })),
  ...both((lang, w) => ({ name: `shelf: a file that is not Watra's is not offered for deletion twice; Escape calls the question off (${lang})`, options: { lang }, async run({ page }) {
    await page.evaluate(() => { location.hash = '#/polka'; });
    await page.getByRole('article', { name: 'Hermes 4 70B' }).waitFor();
    assert.equal(await page.getByRole('article', { name: 'Hermes 4 70B' }).getByRole('button', { name: w('Usuń plik', 'Delete the file') }).count(), 0);
    const card = page.getByRole('article', { name: 'SmolLM2 135M' });
    const ask = card.getByRole('button', { name: w('Usuń plik', 'Delete the file') });
    const really = card.getByRole('button', { name: w(/^Na pewno usunąć/, /^Really delete/) });
    const focused = (one) => one.evaluate((element) => element === document.activeElement);
    await ask.click();
    await until(() => focused(really), true);
    await page.keyboard.press('Escape');
    await really.waitFor({ state: 'detached' });
    await until(() => focused(ask), true);
    await page.route('**/models/smollm2', (route) => route.fulfill({ status: 409, json: { error: { code: 'model.not_ours', message: 'no receipt' } } }), { times: 1 });
    await ask.click();
    await really.click();
    await card.getByText(w('Tego pliku nie pobrała Watra', 'Watra did not download this file')).waitFor();
    assert.equal(await ask.count(), 0);
    await until(() => focused(card), true);
  } })),
  ...both((lang, w) => ({ name: `a value out of its range is told by its field and the range (${lang})`, options: { lang }, async run({ page }) {
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: w('Jak mówi', 'How it speaks') }).click();
    await page.route('**/settings', (route) => route.fulfill({ status: 400, json: { error: { code: 'request.invalid', message: 'no', param: 'sampling.temperature', allowed: '0 to 5' } } }), { times: 1 });
    const field = page.getByRole('spinbutton', { name: w('Temperatura', 'Temperature'), exact: true });
    await field.fill('4');
    await field.press('Tab');
    await page.locator('.notice').getByText(w('„Temperatura” przyjmuje liczby od 0 do 5.', '“Temperature” takes numbers from 0 to 5.')).waitFor();
  } })),
  { name: 'tabs and themes are gone along by arrows, and only the chosen one is in the way of Tab', options: { lang: 'en' }, async run({ page, mock }) {
    await page.keyboard.press('Control+,');
    const look = page.getByRole('tab', { selected: true });
    await look.focus();
    await page.keyboard.press('ArrowRight');
    await until(() => page.getByRole('tab', { selected: true }).innerText(), 'How it speaks');
    assert.equal(await page.locator('[role=tab][tabindex="0"]').count(), 1);
    await page.keyboard.press('End');
    await until(() => page.getByRole('tab', { selected: true }).innerText(), 'Door and data');
    await page.keyboard.press('ArrowRight');
    await page.getByRole('radio', { name: 'Watra at night' }).focus();
    await page.keyboard.press('ArrowDown');
    await until(() => mock.house.settings['look.theme'], 'poranek');
    await until(() => page.evaluate(() => document.activeElement?.getAttribute('aria-checked')), 'true');
    assert.equal(await page.locator('dialog [role=radio][tabindex="0"]').count(), 1); // the room behind has a group of its own
    await page.keyboard.press('ArrowUp');
    await until(() => mock.house.settings['look.theme'], 'watra');
  } },
  { name: 'the skip link leads somewhere in every room', options: { lang: 'en' }, async run({ page }) {
    for (const [room, words, place] of [['izba', 'Skip to writing', 'textarea'], ['polka', 'Skip to the content', '#room'], ['obok', 'Skip to the content', '#room'], ['maszynownia', 'Skip to the content', '#room']]) {
      await page.evaluate((to) => { location.hash = `#/${to}`; }, room);
      await page.waitForSelector(`.place[data-room=${room}]`);
      const skip = page.locator('.skip');
      await until(() => skip.innerText(), words);
      assert.equal(await page.locator(await skip.getAttribute('href')).count(), 1);
      await skip.focus();
      await page.keyboard.press('Enter');
      await until(() => page.evaluate((to) => document.activeElement?.matches(to), place), true);
    }
  } },
  { name: 'the drawer of a phone takes the focus in and gives it back; Escape closes it and stops nothing', options: { lang: 'en', rate: 2 }, view: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }, async run({ page }) {
    await box(page).fill('long');
    await page.getByRole('button', { name: 'Send' }).click();
    await page.getByRole('button', { name: 'Stop' }).waitFor();
    const opener = page.getByRole('button', { name: 'Conversations' });
    await opener.click();
    await until(() => page.evaluate(() => document.activeElement?.closest('.list') !== null), true);
    await page.keyboard.press('Escape');
    await page.locator('.list.open').waitFor({ state: 'detached' });
    await until(() => opener.evaluate((one) => one === document.activeElement), true);
    await page.getByRole('button', { name: 'Stop' }).waitFor();
  } },
  ...both((lang, w) => ({ name: `the door: after a wrong password the field has the focus, and typing takes the words away (${lang})`, options: { lang, password: 'owca i pies' }, async run({ page }) {
    const field = page.getByLabel(w('Hasło', 'Password'));
    await field.fill('wilk');
    await page.getByRole('button', { name: w('Wejdź', 'Come in') }).click();
    await page.getByText(w('To nie to hasło.', 'That is not the password.')).waitFor();
    await until(() => field.evaluate((one) => one === document.activeElement && one.selectionEnd - one.selectionStart === 4), true);
    await page.keyboard.type('owca i pies');
    assert.equal(await page.locator('#wrong').innerText(), '');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.home');
  } })),
  { name: 'axe, of what stands in corners: a list of tasks, presets, notices, the shelf as first met', options: { lang: 'en', rate: 900, says: '- [ ] wood\n- [x] water\n\nNote[^1].\n\n[^1]: a note of many words\n' }, async run({ page, mock }) {
    const axe = async (rules) => {
      await page.evaluate(await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'));
      const found = await page.evaluate((only) => globalThis.axe.run(document, { runOnly: { type: 'rule', values: only } }), rules);
      assert.deepEqual(found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(' ')).join(' | ')}`), []);
    };
    const rules = ['label', 'label-content-name-mismatch', 'region', 'skip-link', 'heading-order'];
    await box(page).fill('tasks');
    await box(page).press('Enter');
    await answerDone(page);
    assert.equal(await page.locator('.md input[type=checkbox]').count(), 2);
    assert.equal(await page.locator('.md .footnote').innerText().then((said) => said.replace(/\s+/g, ' ')), '1 a note of many words');
    await page.locator('.row-in:not(.mine)').last().getByRole('button', { name: 'Copy', exact: true }).last().click();
    await page.locator('.notice').waitFor();
    await axe(rules);
    await page.locator('.row-in:not(.mine)').last().getByRole('button', { name: 'More', exact: true }).click();
    await page.getByRole('menuitem', { name: 'Once more, differently…' }).click();
    await page.locator('dialog .preset').first().waitFor();
    await axe(rules);
    await page.keyboard.press('Escape');
    for (const room of ['polka', 'obok', 'maszynownia']) {
      await page.evaluate((to) => { location.hash = `#/${to}`; }, room);
      await page.waitForSelector(`.place[data-room=${room}]`);
      await page.waitForTimeout(500);
      await axe(rules);
    }
    mock.house.settings['house.first_start_done'] = false;
    await page.goto(mock.url + '/?lang=en');
    await page.getByRole('button', { name: 'Let us light the fire' }).click();
    await page.getByRole('button', { name: 'Choose a model' }).click();
    await page.getByText('Models already on this disk').waitFor();
    await axe(rules);
  } },
  { name: 'a phone with its keyboard open shows the words: neither window nor rooms stand in their way; a title has the width of the beam', options: { lang: 'pl' }, view: { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }, async run({ page }) {
    await page.evaluate(() => fetch('/watra/v1/threads').then((r) => r.json()).then((all) => { location.hash = `#/izba/${all.threads[0].id}`; }));
    await page.waitForSelector('.md > *');
    assert.ok(await page.locator('.rail').isVisible());
    assert.ok((await page.locator('.rail .room span').first().evaluate((one) => parseFloat(getComputedStyle(one).fontSize))) >= 11);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && [...document.querySelectorAll('.rail .room span')].every((one) => one.scrollWidth <= one.parentElement.clientWidth + 1)));
    await page.setViewportSize({ width: 360, height: 333 });
    assert.ok(await page.locator('.rail').isVisible()); // a small window in which nobody types keeps its rooms
    await box(page).focus();
    await until(() => page.locator('.rail').isVisible(), false);
    assert.equal(await page.locator('.strip').isVisible(), false);
    assert.ok((await page.locator('.log').evaluate((log) => log.clientHeight)) > 150);
    await page.getByTitle('Zmień tytuł').click();
    assert.ok((await page.locator('input.title').evaluate((field) => field.clientWidth)) > 180);
  } },
  ...both((lang, w) => ({ name: `machine room: who waits stands as a sack at the mill, temperatures nobody tells have their place (${lang})`, options: { lang, rate: 3, coy: true }, async run({ page }) {
    await page.evaluate(() => { location.hash = '#/maszynownia'; });
    await page.getByRole('region', { name: w('Temperatura', 'Temperature') }).getByText(w('Temperatury ta maszyna nie zdradza.', 'This machine does not tell its temperatures.')).waitFor();
    await page.locator('.grist').getByText(w('Nikt nie czeka.', 'Nobody waits.')).waitFor();
    await page.evaluate(() => fetch('/watra/v1/compares', { method: 'POST', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify({ client_id: 'sack', question: 'x', blind: false, columns: [{ model: 'bielik-11b-v3' }, { model: 'smollm2' }] }) }));
    await page.locator('.grist li').getByText(w('człowiek', 'person')).first().waitFor();
  } })),
];
