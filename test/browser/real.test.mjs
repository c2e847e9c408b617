// The pages against a running Toposcope, at TOPOSCOPE_URL; it has to see some traffic. Without one there is nothing to test.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { audit, launch, mapReady, settled, watch } from './browser.mjs';

const url = process.env.TOPOSCOPE_URL?.replace(/\/$/, '');
const out = new URL('out/', import.meta.url).pathname;
// Capture has to attach, traffic to flow and the first samples to be written.
const FIRST_TRAFFIC_MS = 90_000;

describe('a running Toposcope', { skip: url === undefined && 'TOPOSCOPE_URL is not set' }, () => {
  let browser;
  let page;
  let faults;
  before(async () => {
    await mkdir(out, { recursive: true });
    browser = await launch();
    page = browser.page;
    faults = watch(page, url);
  });
  after(() => browser?.close());

  test('shows services that talk', async () => {
    await page.goto(`${url}/`);
    await page.locator('[data-node]').nth(1).waitFor({ timeout: FIRST_TRAFFIC_MS });
    await mapReady(page);
    assert.match(await page.getByRole('status').last().textContent(), /^\d+ services, [1-9]\d* connection/);
    assert.deepEqual(await audit(page), []);
    await page.screenshot({ path: `${out}real-map.png` });
  });

  test('tells about one of them', async () => {
    const id = await page.evaluate(async () => {
      const { nodes } = await (await fetch('/api/v1/topology?window=15m')).json();
      return nodes.toSorted((a, b) => b.requestsPerSecond - a.requestsPerSecond)[0].id;
    });
    await page.goto(`${url}/?node=${encodeURIComponent(id)}`);
    const panel = page.getByRole('complementary');
    await panel.locator('.uplot').nth(2).waitFor();
    await panel.getByRole('heading', { name: 'Operations' }).waitFor();
    await mapReady(page);
    await panel.getByRole('heading', { name: /^Instances/ }).waitFor();
    assert.deepEqual(await audit(page), []);
    await settled(page);
    await page.screenshot({ path: `${out}real-node.png` });
  });

  test('tells about one connection', async () => {
    const id = await page.evaluate(async () => {
      const { edges } = await (await fetch('/api/v1/topology?window=15m')).json();
      return edges.toSorted((a, b) => b.requestsPerSecond - a.requestsPerSecond)[0].id;
    });
    await page.goto(`${url}/?edge=${encodeURIComponent(id)}`);
    await page.getByRole('complementary').getByText('Latency by end').waitFor();
    await mapReady(page);
    await page.locator('.uplot').nth(2).waitFor();
    await settled(page);
    await page.screenshot({ path: `${out}real-edge.png` });
  });

  test('shows the same as a table', async () => {
    await page.goto(`${url}/?view=table`);
    assert.ok((await page.locator('tbody tr').count()) > 0 || (await page.locator('tbody tr').first().waitFor(), true));
    await page.screenshot({ path: `${out}real-table.png` });
  });

  test('complains of nothing and talks to nobody else', () => {
    assert.deepEqual(faults, []);
  });
});
