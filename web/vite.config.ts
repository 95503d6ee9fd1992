// The page's build: hashed files under dist/assets, nothing inlined (the house's CSP has no data: and no inline script).
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

const server = process.env['WATRA_URL'] ?? 'http://127.0.0.1:8787';

// KaTeX names three formats for each face; every browser that runs this page reads the first.
const onlyWoff2: Plugin = {
  name: 'only-woff2',
  enforce: 'pre',
  transform: (code, id) => (id.includes('katex.min.css') ? code.replace(/,url\([^)]*\.(woff|ttf)\) format\("(woff|truetype)"\)/g, '') : null),
};

export default defineConfig({
  plugins: [onlyWoff2, svelte()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    manifest: true,
  },
  server: { proxy: { '/watra': server } },
});
