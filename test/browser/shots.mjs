// node shots.mjs [scenario …]: pictures of every size, scheme and scenario into out/, to be looked at.
import { mkdir } from 'node:fs/promises';
import { DESKTOP, launch, mapReady, PHONE, settled, watch } from './browser.mjs';
import { start } from './fixture/server.mjs';

const wanted = process.argv.slice(2);
const out = new URL('out/', import.meta.url).pathname;
await mkdir(out, { recursive: true });
const server = await start();

const VIEWS = {
  map: '',
  node: '?node=cart',
  edge: '?edge=e3',
  table: '?view=table',
};
// What opens on top of a view.
const ACTS = {
  hover: async (page) => {
    const box = await page.locator('[data-node="stock"]').boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.locator('[role="presentation"] dl').waitFor();
  },
  search: async (page) => {
    await page.getByRole('searchbox').or(page.getByRole('combobox')).or(page.getByLabel('Find a service')).first().fill('s');
    await page.getByRole('option').first().waitFor();
  },
  range: async (page) => {
    await page.getByRole('button', { name: /^Time range/ }).click();
    await page.getByRole('button', { name: 'Show this range' }).waitFor();
  },
  legend: async (page) => {
    await page.getByRole('button', { name: 'Legend' }).click();
    await page.getByText('from 5% failed').waitFor();
  },
};
const SHOTS = [
  ...['5', '20', 'namespaces', '200', '2000', 'hostile'].map((scenario) => ({ scenario, view: 'map' })),
  { scenario: '5', view: 'node' }, { scenario: '5', view: 'edge' }, { scenario: '20', view: 'table' }, { scenario: '200', view: 'table' },
  { scenario: 'empty', view: 'map', plain: true }, { scenario: 'unready', view: 'map', plain: true }, { scenario: 'error', view: 'map', plain: true },
  { scenario: 'slow', view: 'map', plain: true },
  ...Object.keys(ACTS).map((act) => ({ scenario: '20', view: 'map', act })),
].filter((s) => wanted.length === 0 || wanted.includes(s.scenario));

for (const [size, viewport] of [['desktop', DESKTOP], ['phone', PHONE]]) {
  for (const scheme of ['light', 'dark']) {
    const browser = await launch({ viewport, scheme, touch: size === 'phone', scale: size === 'phone' ? 2 : 1 });
    const { page } = browser;
    const faults = watch(page, server.url);
    for (const { scenario, view, plain, act } of SHOTS) {
      server.set(scenario);
      await page.goto(`${server.url}/${VIEWS[view]}`);
      if (plain) await page.locator('main > *').first().waitFor();
      else if (view === 'table') await page.getByRole('table').first().waitFor();
      else if (size === 'desktop' || view === 'map') await mapReady(page);
      if (view === 'node' || view === 'edge') await page.locator('.uplot').nth(2).waitFor();
      if (act && act !== 'hover' || act === 'hover' && size === 'desktop') await ACTS[act](page);
      await settled(page);
      await page.screenshot({ path: `${out}${scenario}-${act ?? view}-${size}-${scheme}.png` });
    }
    for (const fault of new Set(faults)) console.error(`${size} ${scheme}: ${fault}`);
    await browser.close();
  }
}
await server.close();
