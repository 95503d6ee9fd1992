// What pictures.mjs shows beside the rooms as they are found: messages of every kind, menus, small dialogs, things under way and things that went wrong.
import { go, izba, thread, answer } from './pictures_ways.mjs';

const turns = async (mock, title, list) => {
  const { newThread } = await import('../../mock/conversations.mjs');
  const { newMessage } = await import('../../mock/runs.mjs');
  const { house } = mock;
  const made = newThread(house, { title, named: true, pinned: true });
  let parent = null;
  for (const one of list) parent = newMessage(house, made, { parent, ...(one.role === 'assistant' ? { actor: { kind: 'model', id: 'bielik-11b-v3', name: 'Bielik 11B v3' } } : {}), ...one }).id;
  made.head = parent;
  made.updated_ms = Date.now() + 1000;
  house.emit('thread.changed', { ...made });
  return made;
};
const says = (text) => [{ type: 'text', text }];
const HUT = '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="360" viewBox="0 0 640 360"><rect width="640" height="360" fill="#8fb4c9"/><path d="M0 300L150 90 260 220 380 60 640 300z" fill="#5a7484"/><rect y="290" width="640" height="70" fill="#dfe9ea"/><path d="M250 300v-60h150v60zM235 245l90-60 90 60z" fill="#6b4830"/></svg>';
/** Everything a message may hold beside plain words. */
async function mixed(page, mock) {
  mock.house.attachments.set('a'.repeat(64), { raw: Buffer.from(HUT), mime: 'image/svg+xml' });
  const made = await turns(mock, 'Pogoda na jutro i zdjęcie z hali', [
    { parts: [...says('Co jest na tym zdjęciu i jaka będzie tam jutro pogoda?'), { type: 'image', hash: 'a'.repeat(64), name: 'hala.svg', mime: 'image/svg+xml', bytes: 48_200, width: 640, height: 360 }, { type: 'attachment', hash: 'b'.repeat(64), name: 'notatki z wędrówki.txt', mime: 'text/plain', bytes: 4_120, n_tokens: 1100 }] },
    { role: 'assistant', pinned: true, parts: [{ type: 'reasoning', text: 'Najpierw obraz: góry, śnieg, chata. Potem pogoda, więc trzeba zapytać narzędzia.', seconds: 4.2 }, { type: 'tool_call', id: 'c1', name: 'pogoda', arguments: '{\n  "miejsce": "Hala Gąsienicowa",\n  "dzień": "jutro"\n}' }, { type: 'tool_result', id: 'c1', text: '{ "temperatura": -4, "śnieg": true, "wiatr": 18 }' }, ...says('Na zdjęciu stoi **chata na hali**, za nią ośnieżone granie. Jutro będzie tam około −4 °C, z lekkim śniegiem i wiatrem do 18 km/h.')] },
    { parts: says('A pojutrze?') },
    { role: 'assistant', state: 'stopped', source: 'edited', parts: says('Pojutrze wiatr ma się odwrócić i') },
    { parts: says('Dokończ, proszę.') },
    { role: 'assistant', state: 'failed', parts: [], error: { code: 'engine.device_lost', message: 'the graphics card stopped answering' } },
  ]);
  await page.evaluate((id) => { location.hash = `#/izba/${id}`; }, made.id);
  await page.waitForSelector('.failed');
}
async function versions(page, mock) {
  mock.house.options.rate = 900;
  mock.house.options.says = 'Na deszczu zaczyna się od kory brzozy: pali się nawet mokra, bo ma w sobie olej.';
  await izba(page);
  await answer(page).getByRole('button', { name: 'Jeszcze raz', exact: true }).click();
  await page.clock.runFor(4000);
  await page.getByText('2/2').waitFor();
}
/** A finger half-way to the version before, not lifted. */
async function leafing(page, mock) {
  await versions(page, mock);
  const { x, y, width, height } = await answer(page).locator('.bubble').boundingBox();
  const wire = await page.context().newCDPSession(page);
  const touch = (type, dx) => wire.send('Input.dispatchTouchEvent', { type, touchPoints: [{ x: x + width / 3 + dx, y: y + height / 2 }] });
  await touch('touchStart', 0);
  for (let dx = 10; dx <= 110; dx += 10) await touch('touchMove', dx);
}
const compare = (page, blind, models) => page.evaluate(([blind, models]) => fetch('/watra/v1/compares', { method: 'POST', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify({ client_id: `c${Math.random()}`, question: 'Co zrobić, żeby w zimie nie zgasł ogień w chacie na hali?', blind, columns: models.map((model) => ({ model })) }) }).then((r) => r.json()).then((c) => { location.hash = `#/obok/${c.id}`; }), [blind, models]);
const more = async (page, item) => { await izba(page); await answer(page).getByRole('button', { name: 'Więcej', exact: true }).click(); if (item) await page.getByRole('menuitem', { name: item }).click(); };
const board = async (page, name) => { await page.keyboard.press('Control+,'); await page.getByRole('tab', { name }).click(); await page.mouse.move(0, 0); };
const phrase = (mock, id, name, text) => { mock.house.phrases.set(id, { id, name, text, updated_ms: 1 }); mock.house.emit('phrase.changed', { id, updated_ms: 1 }); };
const lay = (mock) => { phrase(mock, 'a', 'List do kogoś', 'Napisz list do {{komu}} o tym, że {{co}}. Podpisz: {{komu}}.'); phrase(mock, 'b', 'Streść', 'Streść to w trzech zdaniach, bez ozdób.'); phrase(mock, 'c', 'Wyjaśnij prosto', 'Wyjaśnij mi prosto, czym jest {{temat}}, z jednym przykładem.'); };
const threadMenu = async (page, item) => { await izba(page); await page.locator('.beam').getByRole('button', { name: 'Więcej o rozmowie' }).click(); if (item) await page.getByRole('menuitem', { name: item }).click(); };

export const corners = {
  mieszane: mixed,
  'mieszane-gora': async (page, mock) => { await mixed(page, mock); for (const one of await page.locator('.thought summary').all()) await one.click(); await page.locator('.log').evaluate((log) => { log.scrollTop = 0; }); },
  wersje: versions,
  kartkowanie: leafing,
  menu: async (page) => { await more(page); },
  'menu-rozmowy': async (page) => { await threadMenu(page); },
  raz: async (page) => { await more(page, 'Jeszcze raz inaczej…'); await page.waitForSelector('dialog'); },
  teczka: async (page) => { await threadMenu(page, 'Odłóż do teczki…'); await page.waitForSelector('dialog'); },
  etykiety: async (page) => { await threadMenu(page, 'Etykiety…'); await page.waitForSelector('dialog'); },
  usun: async (page) => { await threadMenu(page, 'Usuń rozmowę'); await page.waitForSelector('dialog'); },
  slowa: async (page, mock) => { lay(mock); await board(page, 'Słowa pod ręką'); await page.locator('dialog .who').first().waitFor(); },
  pod: async (page, mock) => { lay(mock); await izba(page); await page.locator('.composer textarea').last().focus(); await page.keyboard.type('/'); await page.waitForSelector('#phrases [role=option] b'); },
  uzupelnij: async (page, mock) => { lay(mock); await izba(page); await page.locator('.composer textarea').last().focus(); await page.keyboard.type('/list'); await page.getByRole('option', { name: 'List do kogoś' }).click(); await page.waitForSelector('.fill'); },
  drzwi2: async (page) => { await board(page, 'Drzwi i dane'); },
  silnik: async (page) => { await board(page, 'Silnik'); await page.getByRole('button', { name: 'Więcej ustawień' }).click(); },
  mowa: async (page, mock) => { mock.house.settings['sampling.max_tokens'] = 400; await page.reload(); await page.waitForSelector('.home'); await board(page, 'Jak mówi'); await page.getByRole('button', { name: 'Więcej ustawień' }).click(); },
  'polka-dol': async (page) => { await go(page, '#/polka'); await page.waitForSelector('.model'); await page.locator('.folders').scrollIntoViewIfNeeded(); await page.getByRole('article', { name: 'Qwen2.5 Coder 0.5B' }).scrollIntoViewIfNeeded(); },
  'polka-foldery': async (page) => { await go(page, '#/polka'); await page.waitForSelector('.folders'); await page.locator('.folders').scrollIntoViewIfNeeded(); },
  wczytaj: async (page) => { await go(page, '#/polka'); await page.getByRole('article', { name: 'Hermes 4 70B' }).getByRole('button', { name: 'Wczytaj inaczej…' }).click(); await page.waitForSelector('dialog'); },
  pobieranie: async (page) => { await go(page, '#/polka'); const card = page.getByRole('article', { name: 'Qwen2.5 Coder 0.5B' }); await card.getByRole('button', { name: 'Pobierz' }).click(); await card.getByRole('progressbar').waitFor(); await card.scrollIntoViewIfNeeded(); },
  'obok-trwa': async (page, mock) => { mock.house.options.rate = 12; await compare(page, false, ['bielik-11b-v3', 'hermes-4-70b', 'smollm2', 'llama-3.3-70b-q8']); await page.waitForTimeout(2500); },
  'obok-wybor': async (page, mock) => { mock.house.options.rate = 9000; await compare(page, true, ['bielik-11b-v3', 'hermes-4-70b']); await page.getByRole('button', { name: 'Wybieram B' }).click({ timeout: 20_000 }); await page.waitForSelector('.won'); await page.locator('.won').scrollIntoViewIfNeeded(); },
  'obok-blad': async (page, mock) => { mock.house.options.rate = 9000; mock.house.failNext = 'middle'; await compare(page, false, ['bielik-11b-v3', 'hermes-4-70b']); await page.waitForTimeout(2500); },
  'obok-lista': async (page, mock) => { mock.house.options.rate = 9000; await compare(page, true, ['bielik-11b-v3', 'hermes-4-70b']); await page.waitForTimeout(2500); await go(page, '#/obok'); await page.waitForSelector('li.paper'); await page.locator('li.paper').scrollIntoViewIfNeeded(); },
  wolno: async (page, mock) => { mock.house.options.rate = 0.9; mock.house.options.holdsReading = true; await izba(page); await page.getByRole('textbox', { name: 'Wiadomość' }).fill('Pomyśl: czym jest watra?'); await page.getByRole('button', { name: 'Wyślij' }).click(); await page.clock.runFor(2500); await page.waitForSelector('.progress'); },
  dluga: async (page) => { await thread(page, 0); await page.waitForSelector('.md p'); },
  pusto: async (page, mock) => { const { house } = mock; house.engine = { state: 'empty', model: null, n_ctx: null, vision: false }; for (const model of house.models) if (model.state === 'loaded') model.state = 'ready'; await page.reload(); await page.waitForSelector('.empty'); },
  lista: async (page) => { await izba(page); if (page.viewportSize().width < 600) await page.locator('.beam').getByRole('button', { name: 'Rozmowy' }).click(); },
  wiesci: async (page, mock) => { await izba(page); mock.house.failNext = 'job'; await page.evaluate(() => fetch('/watra/v1/downloads', { method: 'POST', headers: { 'X-Watra': '1', 'Content-Type': 'application/json' }, body: JSON.stringify({ name: 'qwen2.5-coder-0.5b' }) })); await page.waitForTimeout(2500); await page.clock.runFor(500); },
};
