import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// In development the pages come from Vite and the data from a Toposcope that runs beside it.
const target = process.env['TOPOSCOPE_URL'] ?? 'http://127.0.0.1:7676';

export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2022',
    // Everything is a file of our own origin: the Content-Security-Policy allows no data: URL for fonts or scripts.
    assetsInlineLimit: 0,
    // public/.gitkeep is copied, so that dist, which Go embeds, is never missing from a clone.
    emptyOutDir: true,
    // The licences of what is bundled go with it.
    license: { fileName: 'licenses.md' },
    chunkSizeWarningLimit: 700,
  },
  server: {
    host: '127.0.0.1',
    proxy: { '/api': target, '/-/': target },
  },
  worker: { format: 'es' },
});
