// What the mock says: Markdown of every kind, in Polish and in English, cut into pieces as a tokenizer might.
export const answers = {
  pl: [
    `Dobrze, że pytasz. **Watra** to ogień, który bacowie rozpalają wiosną i którego nie gaszą aż do jesieni.\n\nTrzy rzeczy trzymają go przy życiu:\n\n1. *suche drewno* świerkowe, łupane na cienko,\n2. ktoś, kto wstaje w nocy,\n3. dobre słowo przy dokładaniu.\n\n> Ogień nie lubi pośpiechu. Kto go popędza, ten go gasi.\n\nA jeśli wolisz liczby: kiedy z pamięci trzeba przeczytać $B$ bajtów, a pamięć oddaje $v$ bajtów na sekundę, to jedno słowo trwa co najmniej\n\n$$\nt = \\frac{B}{v}\n$$\n\nczyli przy 40 GB i 75 GB/s około pół sekundy.`,
    `Krótko: tak, da się. Oto przykład w Pythonie:\n\n\`\`\`python\ndef dokladaj(ogien, drwa):\n    """Dokłada po jednym polanie, aż ogień urośnie."""\n    for polano in drwa:\n        ogien.zar += polano.cieplo * 0.8\n        if ogien.zar > 100:\n            break\n    return ogien\n\`\`\`\n\nI zestawienie, żeby było widać różnice:\n\n| drewno | ciepło | zapach |\n|:--|--:|:--|\n| świerk | 3,9 kWh/kg | żywiczny |\n| buk | 4,2 kWh/kg | łagodny |\n| limba | 4,0 kWh/kg | słodki |\n\nNajlepiej zacząć od świerku, bo szybko łapie, a potem dołożyć buka, który długo trzyma żar.`,
    `Wieczorem nad halą cichnie wiatr, a w szałasie słychać już tylko, jak pracuje drewno. Baca dokłada polano, nie patrząc: zna ten ogień lepiej niż własne ręce.\n\nZa oknem Giewont ciemnieje od dołu, jakby ktoś powoli nalewał granatu. Najpierw gasną żleby, potem piargi, na końcu sama grań, i przez chwilę świeci tylko ona.\n\n— Siądź — mówi. — Ogień nie zając.\n\nWięc siadasz.`,
  ],
  en: [
    `Good question. **Watra** is the fire that highland shepherds light in spring and keep alive until autumn.\n\nThree things keep it going:\n\n1. *dry spruce*, split thin,\n2. somebody who gets up at night,\n3. a kind word when wood is added.\n\n> Fire does not like haste.\n\nIn numbers: when $B$ bytes must be read and memory gives $v$ bytes a second, one word takes at least\n\n$$\nt = \\frac{B}{v}\n$$\n\nwhich is about half a second for 40 GB at 75 GB/s.`,
    `Yes, that works. An example in Python:\n\n\`\`\`python\ndef add_wood(fire, logs):\n    """Adds one log at a time until the fire is big enough."""\n    for log in logs:\n        fire.heat += log.energy * 0.8\n        if fire.heat > 100:\n            break\n    return fire\n\`\`\`\n\nAnd a table:\n\n| wood | heat | scent |\n|:--|--:|:--|\n| spruce | 3.9 kWh/kg | resin |\n| beech | 4.2 kWh/kg | mild |\n| stone pine | 4.0 kWh/kg | sweet |\n\nStart with spruce, which catches quickly, then add beech, which holds its embers.`,
    `In the evening the wind over the meadow dies down, and in the hut only the wood can be heard at work. The shepherd adds a log without looking: he knows this fire better than his own hands.\n\nBeyond the window the ridge darkens from below, as if somebody were slowly pouring in ink.`,
  ],
};

export const reasoning = { pl: 'Pytanie jest o ogień, ale pewnie chodzi też o nazwę programu. Najpierw znaczenie słowa, potem trzy proste rzeczy, na końcu wzór.', en: 'The question is about the fire, perhaps also about the name. Meaning first, then three simple things, then the formula.' };

export const pieces = (text) => text.match(/\s*\S{1,5}|\s+/g) ?? [];
export const looksPolish = (text) => /[ąćęłńóśźż]|\b(jak|czy|co|jest|dla|opowiedz|napisz|cześć|dlaczego)\b/i.test(text);
export const fold = (text) => text.toLowerCase().normalize('NFKD').replace(/\p{M}/gu, '').replace(/ł/g, 'l');
