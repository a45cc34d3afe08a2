import { defineConfig } from 'vitest/config';

// Without the plug-ins of the page: what is tested here is pure, and has no components.
export default defineConfig({ test: { include: ['tests/**/*.test.ts'] } });
