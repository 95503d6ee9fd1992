import { describe, expect, it } from 'vitest';

import { asked, blanksOf, filled, found, nameOf, piecesOf } from './phrase';

const of = (...names: string[]) => names.map((name) => ({ id: name, name, text: name, updated_ms: 1 }));

describe('words kept ready', () => {
  it('ask for each blank once, and put into each place what was said', () => {
    const text = 'Napisz {{ co }} do {{komu}}. Niech {{komu}} się ucieszy: {{}} {{a\nb}} { {c} }';
    expect(blanksOf(text)).toEqual(['co', 'komu']);
    expect(filled(text, { co: 'list', komu: 'Zosi $& {{co}}' })).toBe('Napisz list do Zosi $& {{co}}. Niech Zosi $& {{co}} się ucieszy: {{}} {{a\nb}} { {c} }');
    expect(filled('{{a}}!', {})).toBe('!');
    expect(blanksOf('bez luk')).toEqual([]);
    expect(piecesOf('O {{ kim }}, {{co}}')).toEqual([{ text: 'O ', blank: false }, { text: 'kim', blank: true }, { text: ', ', blank: false }, { text: 'co', blank: true }]);
  });
  it('are meant where a draft begins with a stroke and is one line', () => {
    expect(asked('/')).toBe('');
    expect(asked('/list do')).toBe('list do');
    for (const text of ['', 'a/', ' /', '/a\nb', `/${'x'.repeat(81)}`]) expect(asked(text)).toBeNull();
  });
  it('are found by the beginning of a name, of a word in it, by any part; marks and capitals do not matter', () => {
    const all = of('Streść', 'Napisz list', 'List do Łucji', 'Solistka');
    expect(found(all, 'LIST').map((one) => one.name)).toEqual(['List do Łucji', 'Napisz list', 'Solistka']);
    expect(found(all, 'strescz')).toEqual([]);
    expect(found(all, 'stresc').map((one) => one.name)).toEqual(['Streść']);
    expect(found(all, 'lucj').map((one) => one.name)).toEqual(['List do Łucji']);
    expect(found(all, '')).toHaveLength(4);
  });
  it('are called by their first words until they have a name', () => {
    expect(nameOf('  Krótko\nDalej ')).toBe('Krótko');
    expect(nameOf('Opowiedz mi bardzo długą bajkę o pasterzach i o wilku')).toBe('Opowiedz mi bardzo długą bajkę o…');
  });
});
