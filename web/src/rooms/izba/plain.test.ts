import { describe, expect, it } from 'vitest';

import { plain } from './plain';

/** What jsdom's Blob lacks. */
const file = (bytes: number[] | Uint8Array) => ({ type: 'text/plain', arrayBuffer: () => Promise.resolve(Uint8Array.from(bytes).buffer) }) as unknown as Blob;
const read = (blob: Blob | null) => new Promise<string | null>((done) => { if (!blob) { done(null); return; } const reader = new FileReader(); reader.onload = () => done(reader.result as string); reader.readAsText(blob); });
const said = async (bytes: number[], language = 'pl') => read(await plain(file(bytes), language));
const ascii = (text: string) => [...text].map((c) => c.charCodeAt(0));

describe('plain', () => {
  it('leaves what is UTF-8 as it is', async () => {
    const zazolc = file(new TextEncoder().encode('Zażółć gęślą jaźń'));
    expect(await plain(zazolc, 'pl')).toBe(zazolc);
  });

  it('reads what older programs wrote', async () => {
    expect(await said([...ascii('za'), 0xbf, 0xf3, 0xb3, 0xe6, 0x20, ...ascii('ja'), 0x9f, 0xf1])).toBe('zażółć jaźń'); // windows-1250
    expect(await said([...ascii('za'), 0xbf, 0xf3, 0xb3, 0xe6, 0x20, ...ascii('ja'), 0xbc, 0xf1])).toBe('zażółć jaźń'); // iso-8859-2
    expect(await said([...ascii('caf'), 0xe9], 'en')).toBe('café');
    expect(await said([0xff, 0xfe, 0x42, 0x01, 0xf3, 0x00, 0x64, 0x00, 0x7a, 0x01])).toBe('łódź');
    expect(await said([0xfe, 0xff, 0x01, 0x42, 0x00, 0xf3, 0x00, 0x64, 0x01, 0x7a])).toBe('łódź');
  });

  it('takes nothing for text that is none', async () => {
    expect(await plain(file(Array.from({ length: 4000 }, (_, i) => (i * 37) % 256)), 'pl')).toBe(null);
    expect(await plain(file([0x41, 0x00, 0x42]), 'pl')).toBe(null);
    expect(await plain(file([0xff, 0xfe, 0x00, 0xd8]), 'pl')).toBe(null); // half a character
  });
});
