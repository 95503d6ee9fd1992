import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [svelte() as never], // made for the page's Vite; the tests bring one of their own, with other types
  resolve: { conditions: ['browser'] },
  test: { environment: 'jsdom', include: ['src/**/*.test.ts', 'tests/unit/*.test.ts'], testTimeout: 300_000 },
});
