// The walk through a real server with smollm2: the same page, answers nobody wrote beforehand.
import assert from 'node:assert/strict';

const composer = (page) => page.getByRole('textbox', { name: 'Message' });
const last = (page) => page.locator('.row-in:not(.mine)').last();
const words = (page) => last(page).locator('.md').innerText();
const answerDone = (page) => page.waitForFunction(() => { const all = [...document.querySelectorAll('.row-in:not(.mine)')]; return all.length > 0 && !document.querySelector('.md.live') && document.querySelector('button[type=submit]') && document.querySelector('.row-in:not(.mine) button.facts, .row-in:not(.mine) .failed'); }, null);
async function say(page, text) { await composer(page).fill(text); await page.getByRole('button', { name: 'Send' }).click(); }
const inside = async (page) => { await page.getByRole('textbox', { name: 'Message' }).waitFor(); };
/** Past the first start, by the same request the page itself makes. */
async function settle(page) {
  await page.evaluate(() => fetch('/watra/v1/settings', { method: 'PATCH', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify({ 'house.first_start_done': true, 'sampling.seed': 7, 'sampling.max_tokens': 200 }) }));
  await page.reload();
  await inside(page);
}

export const cases = [
  { name: 'real: first start, the model is by the fire, hello', async run({ page }) {
    await page.getByRole('button', { name: 'In English' }).click();
    await page.getByRole('button', { name: 'Let us light the fire' }).click();
    await page.getByRole('button', { name: 'Choose a model' }).click();
    await page.getByText('English only').first().waitFor();
    await page.getByRole('button', { name: /^(Go on|Later)$/ }).click();
    await page.getByRole('button', { name: 'Step inside' }).click();
    await inside(page);
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
  { name: 'real: stop, continue, reload in mid-answer', async run({ page }) {
    await settle(page);
    await say(page, 'Tell me a very long story about a shepherd.');
    await page.waitForFunction(() => (document.querySelector('.md')?.textContent?.length ?? 0) > 40);
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped.').waitFor();
    const kept = (await words(page)).slice(0, 30);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('button', { name: 'Stop' }).waitFor();
    await page.reload();
    await page.locator('.md > *').first().waitFor();
    await answerDone(page);
    assert.ok((await words(page)).startsWith(kept), 'what was said before the stop is gone');
  } },
  { name: 'real: search without marks, the title, the hit', async run({ page }) {
    await settle(page);
    await say(page, 'Opowiedz o Łodzi.');
    await answerDone(page);
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Search and act' }).fill('lodz');
    await page.locator('.snippet', { hasText: 'Łodz' }).first().waitFor();
    await page.locator('[role=option]', { has: page.locator('mark') }).first().click();
    await page.locator('.row-in', { hasText: 'Łodzi' }).first().waitFor();
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
  { name: 'real: kill -9 in mid-answer, what was shown is kept, continue goes on', async run({ page, mock }) {
    await settle(page);
    await say(page, 'Tell me a very long story about a fire.');
    await page.waitForFunction(() => (document.querySelector('.md')?.textContent?.length ?? 0) > 60);
    await mock.kill();
    await page.getByText('The server went silent').waitFor();
    const shown = (await words(page)).replace(/\s+/g, ' ').trim();
    await mock.start();
    await page.getByText('Interrupted in mid-word').waitFor();
    assert.ok((await words(page)).replace(/\s+/g, ' ').startsWith(shown.slice(0, -1)), 'words that were shown are gone');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('button', { name: 'Stop' }).waitFor();
    await answerDone(page);
  } },
];
