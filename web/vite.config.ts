import { join } from 'node:path';
import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vite';
import { compressed, licences, packagesOfWorker } from './scripts/bundle.ts';

const DIST = join(import.meta.dirname, 'dist');
const SERVER = 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [vue(), licences(), compressed(DIST)],
  worker: { format: 'es', plugins: () => [packagesOfWorker()] },
  build: {
    outDir: DIST,
    emptyOutDir: false,
    target: 'es2022',
    // Files are never inlined, which the content security policy would refuse, and their names have the hash of their content.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  // `npx vite` serves the page while it is changed, beside a running server.
  server: { host: '127.0.0.1', proxy: { '/graphql': { target: SERVER, ws: true }, '/auth': SERVER, '/readyz': SERVER, '/metrics': SERVER } },
});
