import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { environment: 'jsdom', include: ['src/**/*.test.ts', 'tests/unit/*.test.ts'], testTimeout: 300_000 },
});
