// What a file says, in UTF-8: files that older programs wrote are in other encodings, and the model would be told nothing of them.

const UTF16 = [{ mark: [0xff, 0xfe], name: 'utf-16le' }, { mark: [0xfe, 0xff], name: 'utf-16be' }];
/** Letters of Polish, where the two encodings differ: ą ś ź Ą Ś Ź. */
const WINDOWS = [0xb9, 0x9c, 0x9f, 0xa5, 0x8c, 0x8f];
const LATIN2 = [0xb1, 0xb6, 0xbc, 0xa1, 0xa6, 0xac];

/** The encoding of bytes that are not UTF-8; null: they are no text. */
function encodingOf(bytes: Uint8Array, language: string): string | null {
  const marked = UTF16.find(({ mark }) => bytes[0] === mark[0] && bytes[1] === mark[1]);
  if (marked) return marked.name;
  const n = new Uint32Array(256);
  for (const byte of bytes) n[byte]!++;
  const count = (of: number[]) => of.reduce((sum, byte) => sum + n[byte]!, 0);
  const controls = n.slice(0, 32).reduce((sum, times) => sum + times, 0) - count([0x09, 0x0a, 0x0c, 0x0d, 0x1b]);
  if (controls > 0) return null;
  if (language !== 'pl') return 'windows-1252';
  return count(LATIN2) > count(WINDOWS) ? 'iso-8859-2' : 'windows-1250';
}

/** The same file where it is text in UTF-8; its text where it is in another encoding; null where it is no text. `language`: of whom it is likely. */
export async function plain(file: Blob, language: string): Promise<Blob | null> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const isText = (encoding: string) => { try { return new TextDecoder(encoding, { fatal: true }).decode(bytes); } catch { return null; } };
  if (isText('utf-8') !== null) return bytes.includes(0) ? null : file;
  const encoding = encodingOf(bytes, language);
  const text = encoding && isText(encoding);
  return text === null ? null : new Blob([text], { type: file.type || 'text/plain' });
}
