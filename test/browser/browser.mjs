// Starts Debian's Chromium the same way for every test.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import { chromium } from 'playwright-core';

const ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

export const DESKTOP = { width: 1440, height: 900 };
export const PHONE = { width: 390, height: 844 };

/** A browser with a profile of its own, which close() removes. */
export async function launch({ viewport = DESKTOP, scheme = 'light', touch = false, scale = 1 } = {}) {
  const profile = await mkdtemp(join(tmpdir(), 'toposcope-browser-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: ARGS,
    viewport,
    deviceScaleFactor: scale,
    hasTouch: touch,
    colorScheme: scheme,
    reducedMotion: 'reduce',
    locale: 'en-GB',
  });
  context.setDefaultTimeout(15_000);
  return {
    context,
    page: context.pages()[0] ?? (await context.newPage()),
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

/** Collects what a page must not do: complain, or talk to anyone but its own origin. */
export function watch(page, origin) {
  const faults = [];
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('console', (message) => {
    // The browser itself reports an answer with an error status; tests of error states ask for those.
    if (['error', 'warning'].includes(message.type()) && !message.text().startsWith('Failed to load resource')) {
      faults.push(`console: ${message.text()}`);
    }
  });
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !url.startsWith('data:') && !url.startsWith('blob:')) faults.push(`request to ${url}`);
  });
  return faults;
}

/** Waits until the map has been laid out and drawn. */
export async function mapReady(page) {
  await page.getByTestId('canvas').waitFor();
  await page.waitForFunction(() => document.querySelector('[data-level] > *') !== null);
  await settled(page);
}

/** Waits for two frames: what was asked for has been painted. */
export async function settled(page) {
  await page.evaluate(() => document.fonts.ready.then(() => undefined));
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

/** What axe-core finds wrong with the page as it is now, one line for each; empty is good. */
export async function audit(page) {
  await settled(page);
  // Evaluated by the debugger, which the page's Content-Security-Policy does not concern.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(' ')}: ${n.failureSummary?.split('\n')[1]?.trim()}`));
}
