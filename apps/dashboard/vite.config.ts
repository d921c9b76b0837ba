import path from 'node:path';
import tailwindcss from '@tailwindcss/vite';
import { defineConfig } from 'vite';

/** `npx vite apps/dashboard` shows changes as they are typed, against the api of `npm start`. */
const API = 'http://127.0.0.1:8080';

export default defineConfig({
  root: import.meta.dirname,
  plugins: [tailwindcss()],
  build: {
    outDir: path.resolve(import.meta.dirname, '../../dist/dashboard'),
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false }, // it would be an inline script
    rolldownOptions: {
      // "use client" is for servers that render React; there is none here.
      onLog: (level, log, tell) => {
        if (log.code !== 'MODULE_LEVEL_DIRECTIVE') tell(level, log);
      },
    },
    assetsInlineLimit: 0, // the content security policy lets nothing in but files of this server
  },
  server: { proxy: { '/v1': API, '/openapi.json': API, '/docs': API } },
});
