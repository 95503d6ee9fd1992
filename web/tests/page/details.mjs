// What the page says and shows in its corners: words, signs and figures, in both languages and at both widths. Each case has a server of its own.
import assert from 'node:assert/strict';

import { answerDone, until } from './harness.mjs';

export const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

/** Words that stand out of the window or of their frame, and what scrolls sideways without being meant to; a dialog that is open is looked at alone. */
export const sticksOut = (page) => page.evaluate(() => {
  const found = [];
  const dialog = [...document.querySelectorAll('dialog[open]')].at(-1);
  const words = document.createTreeWalker(dialog ?? document.body, NodeFilter.SHOW_TEXT);
  for (let node = words.nextNode(); node; node = words.nextNode()) {
    const of = node.parentElement;
    if (node.data.trim() === '' || !of.checkVisibility({ visibilityProperty: true, opacityProperty: true }) || of.closest('.sr-only, .skip, pre, option, svg') || getComputedStyle(of).clipPath !== 'none') continue;
    let cut = false; // what ends in … is meant to be longer
    for (let at = of; at; at = at.parentElement) cut ||= getComputedStyle(at).textOverflow === 'ellipsis';
    if (cut) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const edge = Math.min(innerWidth, of.closest('.framed, .paper, .card, dialog, main')?.getBoundingClientRect().right ?? innerWidth);
    if (range.getBoundingClientRect().right > edge + 1) found.push(`${of.tagName}: ${node.data.trim().slice(0, 30)}`);
  }
  for (const one of (dialog ?? document).querySelectorAll('*')) if (one.clientWidth > 1 && /auto|scroll/.test(getComputedStyle(one).overflowX) && !one.matches('pre, [role=tablist]') && one.scrollWidth > one.clientWidth + 1) found.push(`${one.tagName}.${one.className} scrolls`);
  return [...new Set(found)];
});

export const cases = [
  ...[['pl', 'Pamięć RAM', '128 GB w komputerze', 'dla Watry do 112 GB · 75 GB/s', /^RAM: .* z 112 GB dla Watry$/, /^Dysk \/: wolne 640 GB z 1 TB$/], ['en', 'Memory', '128 GB in this computer', 'up to 112 GB for Watra · 75 GB/s', /^RAM: .* of 112 GB for Watra$/, /^Disk \/: 640 GB free of 1 TB$/]].map(([lang, name, all, ours, vessel, disk]) => ({ name: `machine room: all memory and what Watra may use of it are told apart (${lang})`, options: { lang }, async run({ page }) {
    await page.evaluate(() => { location.hash = '#/maszynownia'; });
    const plate = page.locator('.plates div', { hasText: name });
    await until(() => plate.innerText().then((said) => said.replaceAll('\u00a0', ' ').split('\n').map((line) => line.trim())), [name, all, ours]);
    await page.getByRole('img', { name: vessel }).waitFor();
    await page.getByRole('img', { name: disk }).waitFor();
  } })),
  ...[['pl', 'Wczytaj inaczej…', 'prędkość nieznana', 'Zmierz maszynę', 'tokenów na sekundę'], ['en', 'Load otherwise…', 'speed unknown', 'Measure the machine', 'tokens a second']].map(([lang, otherwise, unknown, measure, unit]) => ({ name: `shelf: other wishes on a machine that was not measured ask for nothing, and say how to measure it (${lang})`, options: { lang, unmeasured: true }, async run({ page }) {
    const refused = [];
    page.on('response', (answer) => { if (answer.status() >= 400) refused.push(`${answer.status()} ${answer.url()}`); });
    await page.evaluate(() => { location.hash = '#/polka'; });
    await page.getByRole('article', { name: 'SmolLM2 135M' }).getByRole('button', { name: otherwise }).click();
    const wishes = page.locator('dialog');
    await wishes.getByText(unknown).waitFor();
    await wishes.getByRole('slider').press('ArrowLeft');
    await wishes.getByText(unknown).waitFor();
    await wishes.getByRole('button', { name: measure }).click();
    await wishes.getByText(unit).waitFor(); // and once it was measured, the wishes are counted where they stand
    assert.deepEqual(refused, []);
  } })),
  ...[['pl', 'Własny motyw', 'tekst', /^Tych barw nie da się odczytać\./, 'Wróć do gotowego'], ['en', 'A theme of your own', 'text', /^These colours cannot be read\./, 'Back to the original']].map(([lang, own, token, warning, back]) => ({ name: `own theme: with text in the colour of the ground the way back can be read, before and after a reload (${lang})`, options: { lang }, async run({ page, mock }) {
    // The least contrast of words with the ground they stand on, both taken from where they stand.
    const least = (place) => page.evaluate((where) => {
      const light = (colour) => { const [r, g, b] = (colour.startsWith('#') ? [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16)) : colour.match(/[\d.]+/g).slice(0, 3).map(Number)).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4)); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
      const words = [...document.querySelectorAll(`${where} :is(label, button, p, h2, h3, a, span)`)].filter((one) => !one.closest('.try, .theme, [aria-current], [aria-selected=true]') && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
      if (words.length === 0) throw new Error(`no words in ${where}`);
      return Math.min(...words.flatMap((one) => { const worn = getComputedStyle(one); return ['--surface', '--raised'].map((ground) => { const [a, b] = [light(worn.color), light(worn.getPropertyValue(ground).trim())]; return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); }); }));
    }, place);
    await page.keyboard.press('Control+,');
    await page.getByRole('button', { name: own }).click();
    const surface = await page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--surface').trim().toLowerCase());
    await page.getByLabel(token, { exact: true }).fill(surface);
    await page.locator('.editor').getByText(warning).waitFor();
    assert.ok((await least('.editor')) >= 4.5);
    assert.equal(await page.locator('.try').evaluate((sheet) => getComputedStyle(sheet).getPropertyValue('--text')), surface); // what is tried on shows
    await until(() => mock.house.settings['look.custom_theme']?.tokens.text, surface);
    await page.waitForSelector('dialog[data-theme=watra]');
    for (const place of ['dialog', '.rail']) assert.ok((await least(place)) >= 4.5, place);
    await page.reload();
    await page.waitForSelector('.rail[data-theme=watra]');
    await page.keyboard.press('Control+,');
    await page.getByRole('button', { name: new RegExp(`^${own}|^Your theme`) }).click();
    assert.ok((await least('dialog')) >= 4.5);
    await page.getByRole('button', { name: back }).click();
    await page.waitForSelector('.rail:not([data-theme])');
  } })),
  ...[['pl', 'Jak mówi', 'Temperatura', ['0,8', '1,1', '0,5', '0,55']], ['en', 'How it speaks', 'Temperature', ['0.8', '1.1', '0.5', '0.55']]].map(([lang, how, name, [first, high, low, above]]) => ({ name: `number fields take a comma and a point and show what the language writes (${lang})`, options: { lang }, async run({ page, mock }) {
    const kept = () => mock.house.settings['sampling.temperature'];
    const holds = (field, shown, value) => until(async () => [await field.inputValue(), kept()], [shown, value]);
    const type = async (field, text) => { await field.fill(text); await field.press('Enter'); };
    await page.getByRole('button', { name: how }).click();
    const inPanel = page.getByRole('spinbutton', { name, exact: true });
    await holds(inPanel, first, 0.8);
    await type(inPanel, '1,1');
    await holds(inPanel, high, 1.1);
    await type(inPanel, '0.5');
    await holds(inPanel, low, 0.5);
    await type(inPanel, 'zimno');
    await holds(inPanel, low, 0.5);
    await inPanel.press('ArrowUp');
    await holds(inPanel, above, 0.55);
    await type(inPanel, '77');
    await holds(inPanel, '5', 5);
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: how }).click();
    const inSettings = page.getByRole('spinbutton', { name, exact: true });
    await holds(inSettings, '5', 5);
    await type(inSettings, '1,1');
    await holds(inSettings, high, 1.1);
  } })),
  ...[['desk', {}], ['phone', PHONE]].map(([where, view]) => ({ name: `a model's name is cut nowhere, and wholly there for whoever asks (${where})`, options: { lang: 'pl' }, view, async run({ page, mock }) {
    const long = 'Mistral Small 3.2 24B Instruct 2506 abliterated przez kogoś z sąsiedztwa';
    for (const model of mock.house.models.filter((one) => ['bielik-11b-v3', 'hermes-4-70b'].includes(one.id))) { model.name = model.state === 'loaded' ? long : 'Hermes 4 Llama 3.1 70B Lorablated'; mock.house.changedModel(model); }
    mock.house.settings['engine.default_model'] = 'hermes-4-70b';
    await page.reload();
    const whole = (face) => face.evaluate((one) => one.scrollWidth <= one.clientWidth && one.scrollHeight <= one.clientHeight + 1 && one.getBoundingClientRect().right <= one.parentElement.getBoundingClientRect().right && one.getBoundingClientRect().bottom <= one.closest('header, .row').getBoundingClientRect().bottom + 1);
    const inBeam = page.locator('.beam .face');
    await until(() => inBeam.innerText(), 'Mistral Small 3.2 24…sąsiedztwa · Q4_K_M');
    assert.ok(await whole(inBeam));
    const picker = page.getByRole('combobox', { name: 'Model', exact: true });
    assert.equal(await picker.getAttribute('title'), `${long} · Q4_K_M`);
    assert.equal(await picker.locator('option:checked').innerText(), `${long} · Q4_K_M`);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth && [...document.querySelectorAll('.beam > *')].every((one) => one.getBoundingClientRect().right <= innerWidth)));
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: 'Silnik' }).click();
    await page.getByRole('button', { name: 'Więcej ustawień' }).click();
    const inSettings = page.locator('dialog .face');
    await until(() => inSettings.innerText(), 'Hermes 4 Llama 3.1 70B Lorablated · Q5_K_M');
    assert.ok(await whole(inSettings));
    await page.getByLabel('Model na start').selectOption('smollm2');
    await until(() => [mock.house.settings['engine.default_model']], ['smollm2']);
    await until(() => inSettings.innerText(), 'SmolLM2 135M · Q4_1');
  } })),
  { name: 'what was told to the ear is not kept in a language that is not spoken any more', options: { rate: 2000 }, view: { locale: 'pl-PL' }, async run({ page, mock }) {
    const told = () => page.locator('.sr-only[aria-live]').allInnerTexts().then((all) => all.join('').trim());
    const say = async (words) => { await page.locator('textarea').fill(words); await page.locator('textarea').press('Enter'); };
    mock.house.settings['look.language'] = 'pl';
    await page.reload();
    await say('Jak rozpalić ogień?');
    await until(told, 'Odpowiedź gotowa.');
    await page.keyboard.press('Control+k');
    await page.getByRole('option', { name: 'Switch to English' }).click();
    await page.waitForFunction(() => document.documentElement.lang === 'en');
    await until(told, '');
    await say('How is a fire lit?');
    await until(told, 'The answer is complete.');
    const polish = await page.evaluate(() => [...document.querySelectorAll('[aria-live]:not([aria-live=off]), [role=status], [role=alert]')].map((one) => one.textContent).filter((text) => /[ąćęłńóśźż]/i.test(text)));
    assert.deepEqual(polish, []);
  } },

  ...[['pl', 'Zapisz tabelę'], ['en', 'Save the table']].map(([lang, save]) => ({ name: `side by side on a phone: no sign stands without a word (${lang})`, options: { lang, rate: 2000 }, view: PHONE, async run({ page }) {
    await page.evaluate(() => fetch('/watra/v1/compares', { method: 'POST', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify({ client_id: 'x', question: 'Kto?', blind: false, columns: [{ model: 'bielik-11b-v3' }, { model: 'hermes-4-70b' }] }) }));
    await page.evaluate(() => { location.hash = '#/obok'; });
    await until(() => page.locator('.banner .acts button[aria-haspopup]').innerText(), save);
    assert.deepEqual(await page.locator('.banner .acts :is(button, a)').evaluateAll((all) => all.filter((one) => one.innerText.trim() === '' && !one.closest('[popover]')).length), 0);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await page.getByRole('button', { name: save }).click();
    await page.getByRole('menuitem', { name: /CSV/ }).waitFor();
  } })),

  ...[['pl', 'Szukaj i działaj', 'Skróty klawiszy'], ['en', 'Search and act', 'Keyboard']].map(([lang, box, keys]) => ({ name: `commands name no keys where there is only a finger (${lang})`, options: { lang }, view: PHONE, async run({ page }) {
    await page.locator('.rail button').first().click();
    await page.getByRole('combobox', { name: box }).waitFor();
    const options = await page.getByRole('option').allInnerTexts();
    assert.ok(options.length > 6);
    assert.deepEqual(options.filter((one) => /Ctrl|⌘/.test(one) || one.includes(keys)), []);
    assert.equal(await page.locator('.rail [title*="Ctrl"]').count(), 0);
  } })),
  ...[['Win32', 'Ctrl+1', 'Ctrl+,', ['Ctrl', 'Shift', 'O']], ['MacIntel', '⌘1', '⌘,', ['⇧', '⌘', 'O']]].map(([platform, first, settings, fresh]) => ({ name: `commands name the keys of the keyboard at hand (${platform})`, options: { lang: 'pl' }, async run({ page }) {
    await page.addInitScript((wanted) => { Object.defineProperty(Navigator.prototype, 'platform', { get: () => wanted }); Object.defineProperty(Navigator.prototype, 'userAgentData', { get: () => undefined }); }, platform);
    await page.reload();
    await page.keyboard.press('Control+k');
    await until(() => page.getByRole('option', { name: 'Przejdź: Izba' }).locator('.sub').innerText(), first);
    await until(() => page.getByRole('option', { name: /^Ustawienia/ }).locator('.sub').innerText(), settings);
    await page.getByRole('option', { name: /^Skróty klawiszy/ }).click();
    await until(() => page.locator('dialog dl div', { hasText: 'Nowa rozmowa' }).locator('kbd').allInnerTexts(), fresh);
  } })),
  ...[['pl', 'Szukaj i działaj', ['Wersja 3 z 3', 'Wersja 2 z 3', 'Wersja 1 z 3']], ['en', 'Search and act', ['Version 3 of 3', 'Version 2 of 3', 'Version 1 of 3']]].map(([lang, box, told]) => ({ name: `search tells the versions of one message apart, and leads to each (${lang})`, options: { lang, rate: 2000 }, async run({ page, mock }) {
    const post = (path, body) => page.evaluate(([to, sent]) => fetch(`/watra/v1${to}`, { method: 'POST', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify(sent) }).then((r) => r.json()), [path, body]);
    const { id } = await post('/threads', { client_id: 'v' });
    for (const tree of ['świerk', 'limba', 'modrzew']) {
      await post(`/threads/${id}/turns`, { client_id: tree, parent: null, parts: [{ type: 'text', text: `Kornik zjada ${tree}` }] });
      await until(() => mock.house.threads.get(id).run, null);
    }
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: box }).fill('kornik');
    const hits = page.locator('[role=option]', { has: page.locator('mark') });
    await until(() => hits.locator('.sub').allInnerTexts().then((all) => all.map((one) => one.replaceAll('\u00a0', ' ').split(' · ')[0])), told);
    await hits.nth(1).click();
    await page.locator('.row-in.mine', { hasText: 'limba' }).waitFor();
    await until(() => page.locator('.row-in.mine .versions').innerText(), '2/3');
  } })),

  ...[['pl', 'Opowiedz coś', /^Czyta jeszcze raz to, co zostało w pamięci rozmowy: 1344 z 3136 tokenów, jeszcze 6 s$/, /^Pamięć rozmowy się zapełniła: 960\sdawniejszych tokenów wypadło/], ['en', 'Tell me something', /^Reading again what the context still holds: 1344 of 3136 tokens, 6 s left$/, /960/]].map(([lang, text, line, note]) => ({ name: `a full context: how far the rest was read again is shown (${lang})`, options: { lang, rate: 100, forgets: 20, holds: true }, async run({ page, mock }) {
    await page.locator('textarea').fill(text);
    await page.locator('textarea').press('Enter');
    const bar = page.getByRole('progressbar', { name: line });
    await bar.waitFor();
    assert.ok(Math.abs((await bar.evaluate((one) => one.value)) - 1344 / 3136) < 0.01);
    await page.getByText(note).waitFor();
    mock.house.options.holds = false;
    await page.locator('.progress').waitFor({ state: 'detached' });
    await answerDone(page);
  } })),
  ...['pl', 'en'].map((lang) => ({ name: `a phone: no room scrolls sideways, however long a path or a model's name without a gap is (${lang})`, options: { lang, rate: 900 }, view: { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }, async run({ page, mock }) {
    const path = `/${'dysk'.repeat(23)}`.slice(0, 90);
    await page.route('**/watra/v1/machine', async (route) => {
      const answer = await (await route.fetch()).json();
      answer.disks[0].path = path;
      await route.fulfill({ json: answer });
    });
    for (const model of mock.house.models) model.name = `Llama-3.1-405B-Instruct-${'bezprzerwy'.repeat(6)}-${model.id}`;
    mock.house.folders.push({ id: 'f_long', path, n_models: 1, bytes: 1e9 });
    await page.reload();
    await page.waitForSelector('.home');
    for (const room of ['izba', 'polka', 'obok', 'maszynownia']) {
      await page.evaluate((to) => { location.hash = `#/${to}`; }, room);
      await page.waitForSelector(`.place[data-room=${room}]`);
      if (room === 'maszynownia') await page.locator('.vessels figcaption', { hasText: path }).waitFor();
      if (room === 'polka') await page.locator('article.model').first().waitFor();
      await until(() => sticksOut(page), []);
    }
    await page.evaluate(() => fetch('/watra/v1/threads').then((r) => r.json()).then((all) => { location.hash = `#/izba/${all.threads[0].id}`; }));
    await page.waitForSelector('.md > *');
    await page.locator('.row-in .facts').first().click();
    await until(() => sticksOut(page), []);
    await page.keyboard.press('Control+,');
    for (let tab = 0; tab < (await page.getByRole('tab').count()); tab++) {
      await page.getByRole('tab').nth(tab).click();
      await until(() => sticksOut(page), []);
    }
  } })),
  ...[['pl', 'Nowa rozmowa'], ['en', 'New conversation']].map(([lang, name]) => ({ name: `the button of a new conversation is one line at every width (${lang})`, options: { lang }, async run({ page }) {
    const button = page.locator('.list').getByRole('button', { name });
    for (const width of [1440, 1280, 1024, 800]) {
      await page.setViewportSize({ width, height: 800 });
      await until(() => button.evaluate((one) => {
        const words = document.createRange();
        words.selectNodeContents(one);
        const [outer, inner] = [one.getBoundingClientRect(), words.getBoundingClientRect()];
        return [inner.height < 30, inner.left >= outer.left && inner.right <= outer.right];
      }), [true, true]);
    }
  } })),
  ...[['pl', 'przewidziane:', 'zmierzone:', 'tok./s', ','], ['en', 'predicted', 'measured', 'tok/s', '.']].map(([lang, planned, was, unit, point]) => ({ name: `side by side: what is predicted for a model and what was measured are told apart (${lang})`, options: { lang }, async run({ page, mock }) {
    const model = mock.house.models.find((one) => one.id === 'bielik-11b-v3');
    model.estimate = { ...model.estimate, decode_tokens_per_s: 61.5, with_drafts: null, measured_tokens_per_s: 48.25, measured_answers: 3 };
    mock.house.changedModel(model);
    await page.evaluate(() => { location.hash = '#/obok'; });
    const all = () => page.locator('.ask .model').first().locator('option').allInnerTexts().then((list) => list.map((one) => one.replaceAll('\u00a0', ' ')));
    await until(async () => (await all()).some((one) => one.endsWith(`${planned} 61${point}5 ${unit} · ${was} 48${point}3 ${unit}`)), true);
    for (const one of await all()) assert.ok(one.includes(planned), one);
    assert.equal((await all()).filter((one) => one.includes(was)).length, 1);
    const face = page.locator('.ask .face', { hasText: was }); // what stands in the field is not cut in the middle of a speed
    await until(async () => (await face.innerText()).replaceAll('\u00a0', ' ').endsWith(`${planned} 61${point}5 ${unit} · ${was} 48${point}3 ${unit}`), true);
  } })),
  ...[['pl', 'Jak mówi', 'Najdłuższa odpowiedź', 'bez limitu'], ['en', 'How it speaks', 'Longest answer', 'no limit']].map(([lang, group, name, words]) => ({ name: `settings: no limit stands in words where a number would mean it, and can be chosen (${lang})`, options: { lang }, async run({ page, mock }) {
    const longest = () => mock.house.settings['sampling.max_tokens'];
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: group }).click();
    const field = page.getByRole('spinbutton', { name });
    const choose = page.getByRole('button', { name: words });
    await until(() => field.inputValue(), words);
    assert.equal(await field.getAttribute('aria-valuetext'), words);
    assert.equal(await choose.count(), 0);
    await field.click();
    await page.keyboard.type('200'); // the words have stepped aside
    await page.keyboard.press('Tab');
    await until(longest, 200);
    await choose.click();
    await until(longest, -1);
    await until(() => field.inputValue(), words);
    for (const typed of ['', words.toUpperCase(), '-1']) {
      await field.fill('300');
      await field.blur();
      await until(longest, 300);
      await field.fill(typed);
      await field.blur();
      await until(longest, -1);
      await until(() => field.inputValue(), words);
    }
    await field.fill('what');
    await field.blur();
    await until(() => field.inputValue(), words);
    await field.press('ArrowUp');
    await until(longest, 0);
  } })),
  ...[['pl', /^([\d\s]+) z ([\d\s]+) tokenów; 1024 czeka na odpowiedź$/], ['en', /^([\d,]+) of ([\d,]+) tokens; 1,?024 are kept for the answer$/]].map(([lang, words]) => ({ name: `the gauge of the context tells by what it divides, and what is kept for the answer (${lang})`, options: { lang }, async run({ page }) {
    await page.evaluate(() => fetch('/watra/v1/threads').then((r) => r.json()).then((all) => { location.hash = `#/izba/${all.threads[0].id}`; }));
    const meter = page.getByRole('meter');
    await meter.waitFor();
    const [, used, room] = words.exec((await meter.getAttribute('title')).replaceAll('\u00a0', ' ')).map((one) => Number(one.replace(/\D/g, '')));
    assert.equal(room, 8192 - 1024);
    const share = String(Math.round((used / room) * 100));
    assert.equal(await meter.getAttribute('aria-valuenow'), share);
    assert.equal(await meter.locator('.num').innerText(), `${share}%`);
  } })),
];
