// The first load, until one can write: every script and style that index.html and its static imports pull in, gzipped; and the fonts.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const dist = new URL('../dist/', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('.vite/manifest.json', dist)));
const seen = new Set();
const styles = new Set();
function walk(key) {
  const chunk = manifest[key];
  if (!chunk || seen.has(chunk.file)) return;
  seen.add(chunk.file);
  for (const css of chunk.css ?? []) styles.add(css);
  for (const next of chunk.imports ?? []) walk(next);
}
walk('index.html');
const gzip = (files) => [...files].reduce((sum, file) => sum + gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length, 0);
const fonts = readdirSync(new URL('assets/', dist)).filter((f) => f.endsWith('.woff2') && !f.startsWith('KaTeX')).reduce((sum, f) => sum + statSync(new URL(`assets/${f}`, dist)).size, 0);
const rows = [['script, gzip', gzip(seen), 180], ['style, gzip', gzip(styles), 40], ['fonts', fonts, 360]];
let over = false;
for (const [name, bytes, budget] of rows) {
  const kb = bytes / 1024;
  over ||= kb > budget;
  console.log(`${kb > budget ? 'OVER ' : 'ok   '} first load, ${name}: ${kb.toFixed(1)} KB of ${budget}`);
}
process.exit(over ? 1 : 0);
