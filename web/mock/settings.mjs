// The settings schema as the server will serve it: one list, in plain words in both languages.
const w = (pl, en) => ({ pl, en });
const S = (key, type, value, level, name, what, cost, more = {}) =>
  ({ key, group: key.split('.')[0], type, default: value, level, name, what, cost, applies: key.startsWith('sampling') ? 'next_answer' : key.startsWith('engine') ? 'load' : 'now', ...more });
const choice = (...pairs) => ({ choices: pairs.map(([value, pl, en]) => ({ value, name: w(pl, en) })) });

export const schema = {
  groups: [{ id: 'look', name: w('Wygląd', 'Look') }, { id: 'sampling', name: w('Jak mówi', 'How it speaks') }, { id: 'engine', name: w('Silnik', 'Engine') }, { id: 'house', name: w('Dom', 'House') }],
  settings: [
    S('look.language', 'choice', null, 'plain', w('Język', 'Language'), w('Język przycisków i napisów. Model odpowiada w języku pytania.', 'The language of buttons and labels. The model answers in the language it is asked in.'), null, choice(['pl', 'Polski', 'Polish'], ['en', 'Angielski', 'English'])),
    S('look.theme', 'choice', 'watra', 'plain', w('Motyw', 'Theme'), w('Barwy i światło całej chaty.', 'The colours and light of the whole house.'), null, choice(['watra', 'Watra nocą', 'Watra at night'], ['poranek', 'Poranek na hali', 'Morning on the meadow'], ['papier', 'Papier', 'Paper'], ['kontrast', 'Kontrast', 'Contrast'])),
    S('look.follow_hour', 'bool', false, 'plain', w('Idź za porą dnia', 'Follow the hour'), w('W dzień motyw dzienny, po zmierzchu nocny.', 'The day theme by day, the night theme after dusk.'), null),
    S('look.day_theme', 'choice', 'poranek', 'more', w('Motyw dzienny', 'Day theme'), w('Używany, gdy chata idzie za porą dnia.', 'Used when the house follows the hour.'), null, choice(['poranek', 'Poranek na hali', 'Morning on the meadow'], ['papier', 'Papier', 'Paper'])),
    S('look.night_theme', 'choice', 'watra', 'more', w('Motyw nocny', 'Night theme'), w('Używany po zmierzchu.', 'Used after dusk.'), null, choice(['watra', 'Watra nocą', 'Watra at night'], ['kontrast', 'Kontrast', 'Contrast'])),
    S('look.motion', 'choice', 'full', 'plain', w('Ruch', 'Motion'), w('Ile rzeczy się porusza. „Mniej” zostawia krótkie przenikania.', 'How much moves. "Less" leaves short cross-fades.'), null, choice(['full', 'Pełny', 'Full'], ['less', 'Mniej', 'Less'])),
    S('look.fire', 'choice', 'living', 'plain', w('Ogień', 'Fire'), w('Żywy ogień pokazuje, co robi model.', 'A living fire shows what the model does.'), w('Z kartą graficzną mniej niż 2% jednego rdzenia; w ukrytej karcie nic. Bez karty graficznej ogień stoi, a słowa przychodzą po kilka, żeby rdzenie zostały modelowi.', 'With a graphics card less than 2% of one core; nothing in a hidden tab. Without a graphics card the fire stands still and words come a few at a time, so that the cores are left to the model.'), choice(['living', 'Żywy', 'Living'], ['still', 'Spokojny', 'Still'], ['none', 'Bez ognia', 'None'])),
    S('look.window', 'choice', 'hour', 'plain', w('Widok z okna', 'View from the window'), w('Góry, niebo i pogoda. Mogą iść za zegarem i porą roku albo zostać takie, jak się podobają.', 'Mountains, sky and weather. They can follow the clock and the season or stay as they please.'), null, choice(['hour', 'Za porą dnia i roku', 'By hour and season'], ['stars', 'Gwiaździsta noc', 'Starry night'], ['snow', 'Śnieżny wieczór', 'Snowy evening'], ['sunrise', 'Wschód słońca', 'Sunrise'], ['summer', 'Letnie południe', 'Summer noon'], ['mist', 'Jesienna mgła', 'Autumn mist'])),
    S('look.text_size', 'choice', 'normal', 'plain', w('Wielkość tekstu', 'Text size'), w('Litery w rozmowie.', 'The letters of the conversation.'), null, choice(['small', 'Mniejszy', 'Small'], ['normal', 'Zwykły', 'Normal'], ['large', 'Większy', 'Large'], ['huge', 'Bardzo duży', 'Huge'])),
    S('look.typeface', 'choice', 'literata', 'plain', w('Krój pisma', 'Typeface'), w('Pismo, którym mówi rozmowa: książkowe, z dawnych druków albo proste.', "The face the conversation speaks in: a book's, an old print's, or a plain one."), null, choice(['literata', 'Literata', 'Literata'], ['brygada', 'Brygada 1918', 'Brygada 1918'], ['figtree', 'Figtree', 'Figtree'])),
    S('look.measure', 'choice', 'normal', 'more', w('Szerokość wiersza', 'Line length'), w('Ile znaków mieści się w wierszu.', 'How many characters a line holds.'), null, choice(['narrow', 'Wąska', 'Narrow'], ['normal', 'Zwykła', 'Normal'], ['wide', 'Szeroka', 'Wide'])),
    S('look.sound', 'bool', false, 'more', w('Dźwięk', 'Sound'), w('Cichy trzask polana, gdy odpowiedź jest gotowa.', "A log's soft crack when an answer is ready."), null),
    S('look.custom_theme', 'json', null, 'more', w('Własny motyw', 'Own theme'), w('Barwy zmienione w edytorze motywu.', 'Colours changed in the theme editor.'), null),
    S('sampling.temperature', 'float', 0.8, 'plain', w('Temperatura', 'Temperature'), w('Niżej: przewidywalnie i rzeczowo. Wyżej: śmielej, czasem od rzeczy. 0 wybiera zawsze najpewniejsze słowo.', 'Lower: predictable and matter-of-fact. Higher: bolder, sometimes off the mark. 0 always takes the surest word.'), null, { min: 0, max: 5, step: 0.05 }),
    S('sampling.top_p', 'float', 0.95, 'more', w('Top-p', 'Top-p'), w('Wybiera spośród słów, które razem mają taką szansę. 1 wyłącza.', 'Chooses among the words that together hold this chance. 1 switches it off.'), null, { min: 0, max: 1, step: 0.01, off: 1 }),
    S('sampling.top_k', 'int', 40, 'more', w('Top-k', 'Top-k'), w('Wybiera spośród tylu najpewniejszych słów. 0 wyłącza.', 'Chooses among this many of the surest words. 0 switches it off.'), null, { min: -1, max: 1000, step: 1, off: 0 }),
    S('sampling.min_p', 'float', 0.05, 'more', w('Min-p', 'Min-p'), w('Odrzuca słowa dużo mniej pewne od najpewniejszego. Dobra straż przy wysokiej temperaturze.', 'Drops words much less sure than the surest. A good guard when the temperature is high.'), null, { min: 0, max: 1, step: 0.01, off: 0 }),
    S('sampling.repeat_penalty', 'float', 1, 'more', w('Kara za powtórzenia', 'Repeat penalty'), w('Powyżej 1 zniechęca do słów, które już padły. Polskim końcówkom szkodzi, więc ostrożnie.', 'Above 1 it discourages words already said. It harms inflected languages, so go gently.'), null, { min: 0, max: 4, step: 0.01, off: 1 }),
    S('sampling.repeat_last_n', 'int', 64, 'expert', w('Pamięć kary', 'Penalty window'), w('Ile ostatnich tokenów liczy się do kary.', 'How many of the last tokens count for the penalty.'), null, { min: -1, max: 8192, step: 1 }),
    S('sampling.presence_penalty', 'float', 0, 'expert', w('Kara za obecność', 'Presence penalty'), w('Zachęca do nowych tematów.', 'Encourages new topics.'), null, { min: -2, max: 2, step: 0.05, off: 0 }),
    S('sampling.frequency_penalty', 'float', 0, 'expert', w('Kara za częstość', 'Frequency penalty'), w('Rośnie z każdym powtórzeniem słowa.', 'Grows with every repetition of a word.'), null, { min: -2, max: 2, step: 0.05, off: 0 }),
    S('sampling.dry_multiplier', 'float', 0, 'expert', w('DRY', 'DRY'), w('Przerywa powtarzanie całych zdań, nie pojedynczych słów. Zwykle 0,8.', 'Breaks the repetition of whole sentences, not single words. Usually 0.8.'), null, { min: 0, max: 5, step: 0.05, off: 0 }),
    S('sampling.xtc_probability', 'float', 0, 'expert', w('XTC', 'XTC'), w('Czasem odrzuca najpewniejsze słowa, żeby proza nie była oczywista.', 'Sometimes drops the surest words, so that prose is less obvious.'), null, { min: 0, max: 1, step: 0.05, off: 0 }),
    S('sampling.xtc_threshold', 'float', 0.1, 'expert', w('Próg XTC', 'XTC threshold'), w('Jak pewne musi być słowo, by XTC mogło je odrzucić.', 'How sure a word must be for XTC to drop it.'), null, { min: 0, max: 0.5, step: 0.01 }),
    S('sampling.max_tokens', 'int', -1, 'plain', w('Najdłuższa odpowiedź', 'Longest answer'), w('W tokenach, po polsku około dwóch na słowo. Bez limitu: do końca myśli.', 'In tokens, about 1.3 a word in English. No limit: until the thought ends.'), null, { min: -1, max: 1048576, step: 1, off: -1 }),
    S('sampling.seed', 'int', -1, 'expert', w('Ziarno', 'Seed'), w('To samo ziarno i te same ustawienia dają tę samą odpowiedź. Losowe: za każdym razem inną.', 'The same seed and settings give the same answer. Random: a different one each time.'), null, { min: -1, max: 4294967295, step: 1, off: -1 }),
    S('sampling.stop', 'json', [], 'expert', w('Zatrzymaj na', 'Stop at'), w('Teksty, które kończą odpowiedź; same nie wchodzą do niej.', 'Texts that end an answer; they are not part of it.'), null, { off: [] }),
    S('engine.n_ctx', 'int', 8192, 'plain', w('Długość pamięci rozmowy', 'Context length'), w('Ile tokenów model widzi naraz: pytania, odpowiedzi i pliki razem.', 'How many tokens the model sees at once: questions, answers and files together.'), w('Na tej maszynie 1000 tokenów zajmuje około 0,2 GB.', 'On this machine 1,000 tokens take about 0.2 GB.'), { min: 256, max: 1048576, step: 256 }),
    S('engine.endless', 'bool', false, 'more', w('Odpowiedzi bez końca', 'Answers without end'), w('Gdy w trakcie odpowiedzi skończy się pamięć rozmowy, jej dawniejsza część wypada modelowi z oczu, a odpowiedź idzie dalej.', 'When the context fills up while an answer is being written, the model forgets an earlier part of the conversation and goes on.'), w('Co ćwierć pamięci rozmowy przychodzi przerwa na ponowne czytanie reszty.', 'Every quarter of a context there is a pause to read the rest again.')),
    S('engine.load_on_demand', 'bool', true, 'more', w('Wczytuj na życzenie', 'Load on demand'), w('Pytanie do modelu, którego nie ma w pamięci, najpierw go wczytuje.', 'A question to a model that is not in memory loads it first.'), w('Pierwsza odpowiedź czeka na wczytanie.', 'The first answer waits for the load.')),
    S('engine.default_model', 'text', '', 'more', w('Model na start', 'Model at start'), w('Siada przy ogniu, gdy chata się budzi.', 'Sits by the fire when the house wakes.'), null),
    S('house.persona', 'text', '', 'plain', w('Persona na początek', 'Persona to begin with'), w('Z nią zaczyna się każda nowa rozmowa. Na pierwszym ekranie rozmowy można wybrać inną albo żadnej.', 'Every new conversation begins with it. The first screen of a conversation offers another one, or none.'), w('Jej słowa zajmują miejsce w pamięci rozmowy, a model czyta je przed pierwszą odpowiedzią.', 'Its words take room in the context, and the model reads them before the first answer.')),
    S('house.first_start_done', 'bool', false, 'plain', w('Powitanie za nami', 'Welcome is over'), w('Wyłącz, aby zobaczyć powitanie jeszcze raz.', 'Switch off to see the welcome again.'), null),
  ],
};

export const presets = () => [
  ['calm', 'Rzeczowo', 'Matter-of-fact', { temperature: 0.3, top_p: 0.9, min_p: 0.05 }], ['talk', 'Rozmowa', 'Conversation', { temperature: 0.8, top_p: 0.95, min_p: 0.05 }],
  ['story', 'Opowieść', 'Story', { temperature: 1.1, top_p: 1, min_p: 0.08, dry_multiplier: 0.8 }], ['exact', 'Zawsze tak samo', 'Always the same', { temperature: 0, seed: 1 }],
].map(([id, pl, en, sampling]) => ({ id, name: w(pl, en), sampling, builtin: true, updated_ms: 0 }));

export const defaults = () => Object.fromEntries(schema.settings.map((s) => [s.key, s.default]));

/** The reason a value cannot be taken, or null. */
export function refusal(key, value) {
  const s = schema.settings.find((x) => x.key === key);
  if (!s) return 'unknown key';
  if (value === null) return null;
  if (s.type === 'bool') return typeof value === 'boolean' ? null : 'true or false';
  if (s.type === 'choice') return s.choices.some((c) => c.value === value) ? null : s.choices.map((c) => c.value).join(', ');
  if (s.type === 'int' || s.type === 'float') {
    const ok = typeof value === 'number' && Number.isFinite(value) && value >= s.min && value <= s.max && (s.type === 'float' || Number.isInteger(value));
    return ok ? null : `${s.min}..${s.max}`;
  }
  return null;
}
