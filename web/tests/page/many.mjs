// Many conversations at once: chosen by hand and by keys, put away, into a folder, tagged, erased, and what can be taken back is.
import assert from 'node:assert/strict';

import { until } from './harness.mjs';

const both = (make) => ['pl', 'en'].map((lang) => make(lang, (pl, en) => (lang === 'pl' ? pl : en)));
const threads = (mock) => [...mock.house.threads.values()];
const rows = (page) => page.locator('.list [data-thread]');
const focused = (page) => page.evaluate(() => document.activeElement?.dataset.thread ?? null);

export const cases = [
  ...both((lang, w) => ({ name: `many conversations: chosen, put away, brought back, into a folder, tagged, erased (${lang})`, options: { lang }, async run({ page, mock }) {
    await rows(page).nth(2).waitFor();
    const choose = () => page.locator('.list').getByRole('button', { name: w('Zaznacz kilka rozmów', 'Select several') }).click();
    const bar = page.getByRole('toolbar', { name: w('Zaznacz kilka rozmów', 'Select several') });
    const act = (pl, en) => bar.getByRole('button', { name: w(pl, en) }).click();
    const undo = () => page.locator('.notice').last().getByRole('button', { name: w('Cofnij', 'Undo') }).click();
    await choose();
    await bar.getByText(w('Nic nie zaznaczono', 'Nothing selected')).waitFor();
    assert.ok(await bar.getByRole('button', { name: w('Odłóż do archiwum', 'Put into the archive') }).isDisabled());
    await rows(page).nth(0).click();
    await rows(page).nth(2).click({ modifiers: ['Shift'] });
    await bar.getByText(w('Zaznaczone: 3', 'Selected: 3')).waitFor();
    await rows(page).nth(1).click();
    await bar.getByText(w('Zaznaczone: 2', 'Selected: 2')).waitFor();
    // Into the archive and back.
    const order = await rows(page).evaluateAll((all) => all.map((one) => one.dataset.thread));
    await act('Odłóż do archiwum', 'Put into the archive');
    await page.getByText(w('2 rozmowy są w archiwum.', '2 conversations are in the archive.')).first().waitFor();
    await until(() => threads(mock).filter((one) => one.archived).map((one) => one.id).sort(), [order[0], order[2]].sort());
    await bar.waitFor({ state: 'detached' });
    await until(() => rows(page).count(), 1);
    await undo();
    await until(() => [threads(mock).filter((one) => one.archived).length], [0]);
    await until(() => rows(page).count(), 3);
    // A folder: undone, each is where it was.
    mock.house.threads.get(order[1]).folder = 'Stara';
    mock.house.emit('thread.changed', { ...mock.house.threads.get(order[1]) });
    await page.locator('.list h2', { hasText: 'Stara' }).waitFor();
    await choose();
    await page.keyboard.press('Control+a');
    await act('Wszystkie', 'All');
    await act('Odłóż do teczki…', 'Put into a folder…');
    await page.getByLabel(w('Nazwa teczki', 'Name of the folder')).fill('Hala');
    await page.keyboard.press('Enter');
    await until(() => threads(mock).map((one) => one.folder), ['Hala', 'Hala', 'Hala']);
    await undo();
    await until(() => order.map((id) => mock.house.threads.get(id).folder), [null, 'Stara', null]);
    // Tags: on, seen, the list shows theirs alone, and off again.
    await choose();
    await page.locator(`[data-thread="${order[1]}"]`).click();
    await page.locator(`[data-thread="${order[2]}"]`).click();
    await act('Etykiety…', 'Tags…');
    await page.getByLabel(w('Nowa etykieta', 'New tag')).fill('zima');
    await page.keyboard.press('Enter');
    await page.locator('dialog .chip', { hasText: 'zima' }).waitFor();
    await until(() => order.map((id) => mock.house.threads.get(id).tags), [[], ['zima'], ['zima']]);
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    await act('Zakończ zaznaczanie', 'Done selecting');
    await page.locator('.list .tag', { hasText: 'zima' }).first().waitFor();
    await page.locator('.list').getByRole('button', { name: 'zima' }).click();
    await until(() => rows(page).count(), 2);
    await page.locator('.list').getByRole('button', { name: 'zima' }).click();
    await until(() => rows(page).count(), 3);
    // Erased for good: asked first, and the open one is left.
    await page.locator(`[data-thread="${order[1]}"]`).click();
    await page.waitForSelector('.md > *');
    await choose();
    await page.locator(`[data-thread="${order[1]}"]`).click();
    await page.locator(`[data-thread="${order[2]}"]`).click();
    await act('Usuń rozmowy', 'Erase conversations');
    await page.getByRole('dialog').getByText(w('2 rozmowy znikną', '2 conversations go')).waitFor();
    await page.getByRole('button', { name: w('Zostaw', 'Keep') }).click();
    assert.equal(threads(mock).length, 3);
    await act('Usuń rozmowy', 'Erase conversations');
    await page.getByRole('button', { name: w('Usuń na zawsze', 'Erase for good') }).click();
    await until(() => threads(mock).map((one) => one.id), [order[0]]);
    await page.waitForSelector('.empty');
    await until(() => rows(page).count(), 1);
  } })),
  { name: 'many conversations by keys alone: arrows walk, X chooses, Shift+arrows choose more, Delete asks, Escape leaves', options: { lang: 'en' }, async run({ page, mock }) {
    await rows(page).nth(2).waitFor();
    const order = await rows(page).evaluateAll((all) => all.map((one) => one.dataset.thread));
    const ticked = () => page.locator('.list [aria-checked=true]').evaluateAll((all) => all.map((one) => one.dataset.thread));
    await rows(page).first().focus();
    await page.keyboard.press('ArrowDown');
    await until(() => focused(page), order[1]);
    await page.keyboard.press('x');
    await until(ticked, [order[1]]);
    await until(() => focused(page), order[1]); // the link has become a box to tick
    await page.keyboard.press('Shift+ArrowDown');
    await until(ticked, [order[1], order[2]]);
    await page.keyboard.press('Space');
    await until(ticked, [order[1]]);
    await page.keyboard.press('Control+a');
    await until(ticked, order);
    await page.keyboard.press('Delete');
    await page.getByRole('dialog', { name: 'Erase conversations' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await until(ticked, order); // it was the dialog that closed
    await page.locator('.list [data-thread]').nth(2).focus();
    await page.keyboard.press('Escape');
    await until(() => page.getByRole('toolbar').count(), 0);
    await until(() => focused(page), order[2]);
    assert.equal(threads(mock).length, 3);
    // By name, from the palette; one that is being answered is not erased, and neither are the others.
    mock.house.threads.get(order[0]).run = 'r_x';
    await page.keyboard.press('Control+k');
    await page.locator('.query').fill('Select sev');
    await page.keyboard.press('Enter');
    await page.getByRole('toolbar').getByRole('button', { name: 'All', exact: true }).click();
    await page.getByRole('toolbar').getByRole('button', { name: 'Erase conversations' }).click();
    await page.getByRole('button', { name: 'Erase for good' }).click();
    await page.getByText('An answer is being made here.').first().waitFor();
    assert.equal(threads(mock).length, 3);
  } },
];
