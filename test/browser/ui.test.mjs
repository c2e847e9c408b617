// The pages against made-up data: every view, every state, by mouse, key and link.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { audit, launch, mapReady, PHONE, settled, watch } from './browser.mjs';
import { start } from './fixture/server.mjs';

let server;
before(async () => { server = await start(); });
after(() => server.close());

/** A page of its own for each test of a suite; page.faults() must be empty at the end. */
function suite(name, options, tests) {
  describe(name, () => {
    const t = {};
    beforeEach(async () => {
      t.browser = await launch(options);
      t.page = t.browser.page;
      t.faults = watch(t.page, server.url);
      server.reset();
    });
    afterEach(async () => {
      await t.browser.close();
      assert.deepEqual(t.faults, []);
    });
    t.open = async (scenario, path = '', ready = mapReady) => {
      server.set(scenario);
      await t.page.goto(`${server.url}/${path}`);
      await ready(t.page);
    };
    t.card = (id) => t.page.locator(`[data-node="${id}"]`);
    t.clickCard = async (id) => {
      const box = await t.card(id).boundingBox();
      await t.page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
    };
    t.query = () => Object.fromEntries(new URL(t.page.url()).searchParams);
    tests(t);
  });
}

const table = (page) => page.getByRole('table').first().waitFor();
const state = (name) => (page) => page.getByTestId(name).waitFor();

suite('map', {}, (t) => {
  test('shows who calls whom, with rates', async () => {
    await t.open('5');
    for (const id of ['web', 'cart', 'catalogue', 'prices']) await t.card(id).waitFor();
    assert.match(await t.card('web').textContent(), /^web\d+\/s · .*, healthy, 95th percentile \d+ ms, service$/);
    assert.match(await t.card('prices').textContent(), /, warning, /);
    assert.match(await t.page.getByRole('status').last().textContent(), /^6 services, 6 connections, 1 warning$/);
    assert.deepEqual(await audit(t.page), []);
  });

  test('calls run from left to right and nothing overlaps', async () => {
    await t.open('5');
    const boxes = await t.page.locator('[data-node]').evaluateAll((cards) =>
      cards.map((c) => { const { x, y, right, bottom } = c.getBoundingClientRect(); return { id: c.dataset.node, x, y, right, bottom }; }));
    const by = Object.fromEntries(boxes.map((b) => [b.id, b]));
    assert.ok(by.web.right < by.cart.x && by.cart.right < by.prices.x);
    for (const a of boxes) {
      for (const b of boxes) assert.ok(a === b || a.right <= b.x || b.right <= a.x || a.bottom <= b.y || b.bottom <= a.y, `${a.id} covers ${b.id}`);
    }
  });

  test('a click opens the panel, Escape closes it, back and forward repeat it', async () => {
    await t.open('5');
    await t.clickCard('cart');
    const panel = t.page.getByRole('complementary', { name: 'cart' });
    await panel.getByRole('heading', { name: 'cart' }).waitFor();
    await panel.locator('.uplot').nth(2).waitFor();
    for (const text of ['Requests', 'Failed share', 'Latency']) await panel.getByText(text, { exact: true }).first().waitFor();
    for (const name of ['Operations', /^Called by/, /^Calls/, /^Instances/]) await panel.getByRole('heading', { name }).waitFor();
    assert.deepEqual(t.query(), { node: 'cart' });
    assert.equal(await t.page.title(), 'cart – Toposcope');
    assert.deepEqual(await audit(t.page), []);
    await t.page.keyboard.press('Escape');
    await panel.waitFor({ state: 'detached' });
    assert.deepEqual(t.query(), {});
    await t.page.goBack();
    await panel.waitFor();
    await t.page.goForward();
    await panel.waitFor({ state: 'detached' });
  });

  test('a click on an edge opens it, its ends lead on', async () => {
    await t.open('5');
    const label = await t.page.getByText('missed').boundingBox();
    await t.page.mouse.click(label.x + label.width / 2, label.y + label.height / 2);
    const panel = t.page.getByRole('complementary', { name: 'Connection from cart to prices' });
    await panel.getByText('Latency by end').waitFor();
    for (const row of ['the client', 'the server', 'in between']) await panel.getByRole('cell', { name: row, exact: true }).waitFor();
    await panel.getByText('could not be seen').waitFor();
    assert.deepEqual(t.query(), { edge: 'e3' });
    assert.deepEqual(await audit(t.page), []);
    await panel.getByRole('button', { name: 'prices' }).click();
    await t.page.getByRole('complementary', { name: 'prices' }).waitFor();
  });

  test('the search is reached by / and Enter goes there', async () => {
    await t.open('200');
    await t.page.keyboard.press('/');
    await t.page.keyboard.type('billing-worker');
    await t.page.getByRole('option').first().waitFor();
    await t.page.keyboard.press('Enter');
    await t.page.waitForURL(/node=billing-worker/);
    const card = t.card(t.query().node);
    await card.waitFor();
    const box = await card.boundingBox();
    assert.ok(box.width > 150, 'close enough to read');
    assert.ok(box.x > 0 && box.x + box.width < 1440, 'in sight');
  });

  test('keys lead from card to card', async () => {
    await t.open('5');
    await t.card('web').focus();
    await t.page.keyboard.press('ArrowRight');
    await settled(t.page);
    const focused = () => t.page.evaluate(() => document.activeElement.dataset.node);
    assert.ok(['cart', 'catalogue'].includes(await focused()));
    await t.page.keyboard.press('ArrowLeft');
    await settled(t.page);
    assert.equal(await focused(), 'web');
    await t.page.keyboard.press('Enter');
    await t.page.getByRole('complementary', { name: 'web' }).waitFor();
    assert.deepEqual(t.query(), { node: 'web' });
  });

  test('filters are in the address and can be cleared', async () => {
    await t.open('namespaces');
    await t.page.getByRole('button', { name: 'Only failing' }).click();
    await t.page.waitForURL(/failing=1/);
    await t.page.getByRole('button', { name: 'Namespace' }).click();
    await t.page.getByRole('checkbox', { name: 'team-orders' }).check();
    await t.page.waitForURL(/namespace=team-orders/);
    await t.page.keyboard.press('Escape');
    await t.page.getByRole('button', { name: 'Clear filters' }).click();
    await t.page.getByText('60 services').waitFor();
    assert.deepEqual(t.query(), {});
  });

  test('a link to filters that leave nothing says so', async () => {
    await t.open('5', '?protocol=mysql', state('nothing-left'));
    assert.deepEqual(await audit(t.page), []);
    await t.page.getByRole('button', { name: 'Clear the filters' }).click();
    await mapReady(t.page);
  });

  test('only the neighbours of a node', async () => {
    await t.open('20', '?node=billing');
    await t.page.getByRole('button', { name: 'Show only its neighbours' }).click();
    await t.page.getByText('4 services, 3 connections').waitFor();
    assert.deepEqual(t.query(), { focus: 'billing', node: 'billing' });
  });
});

suite('live', {}, (t) => {
  const answer = () => t.page.waitForResponse((r) => new URL(r.url()).pathname === '/api/v1/topology');

  test('a service that starts appears and moves none of the others', async () => {
    await t.open('5');
    const places = () => t.page.locator('[data-node]').evaluateAll((cards) => Object.fromEntries(cards.map((c) => [c.dataset.node, c.style.transform])));
    const first = await places();
    server.grow();
    await t.card('newcomer').waitFor();
    const { newcomer, ...rest } = await places();
    assert.ok(newcomer);
    assert.deepEqual(rest, first);
  });

  test('a pause asks no more, and is in the address', async () => {
    await t.open('5');
    await t.page.getByRole('button', { name: /^Live/ }).click();
    await t.page.waitForURL(/live=0/);
    let asked = 0;
    t.page.on('request', (r) => { if (r.url().includes('/api/v1/topology')) asked++; });
    const news = t.page.waitForResponse((r) => r.url().includes('/api/v1/status')); // goes on, every ten seconds
    await news;
    assert.equal(asked, 0);
    await t.page.getByRole('button', { name: /^Paused/ }).click();
    await answer();
  });

  test('what arrived last stays when the server fails, and says that it is old', async () => {
    await t.open('5');
    server.set('error');
    await t.page.getByText('Updates are failing').waitFor();
    await t.card('web').waitFor();
    assert.deepEqual(await audit(t.page), []);
    server.set('5');
    await t.page.getByRole('button', { name: 'Try again' }).click();
    await t.page.getByText('Updates are failing').waitFor({ state: 'detached' });
  });
});

suite('time', {}, (t) => {
  test('a preset and a custom range are asked for and are in the address', async () => {
    await t.open('5');
    await t.page.getByRole('button', { name: /^Time range/ }).click();
    const asked = t.page.waitForRequest((r) => r.url().includes('/api/v1/topology?window=1h'));
    await t.page.getByRole('button', { name: 'Last hour' }).click();
    await asked;
    assert.deepEqual(t.query(), { range: '1h' });

    await t.page.getByRole('button', { name: /^Time range/ }).click();
    await t.page.getByLabel('From', { exact: true }).fill('2026-01-02T00:00:00');
    await t.page.getByLabel('To', { exact: true }).fill('2026-01-01T00:00:00');
    await t.page.getByRole('button', { name: 'Show this range' }).click();
    await t.page.getByText('The start must be before the end.').waitFor();
    await t.page.getByLabel('To', { exact: true }).fill('2026-01-02T01:00:00');
    const absolute = t.page.waitForRequest((r) => r.url().includes('/api/v1/topology?start=2026-01-0'));
    await t.page.getByRole('button', { name: 'Show this range' }).click();
    await absolute;
    assert.ok(t.query().start && t.query().end);
    // What has ended does not follow the clock.
    assert.equal(await t.page.getByRole('button', { name: /^(Live|Paused)/ }).count(), 0);
    await t.page.goBack();
    await t.page.getByRole('button', { name: /^Live/ }).waitFor();
  });
});

suite('table', {}, (t) => {
  test('sorts by every column, opens by key, and is a link', async () => {
    await t.open('20', '?view=table', table);
    const first = () => t.page.locator('tbody tr th').first().textContent();
    assert.ok(['nginx', 'sessions'].includes(await first()));
    await t.page.getByRole('button', { name: 'Health' }).click();
    await t.page.waitForURL(/sort=-health/);
    assert.equal(await first(), 'stock');
    assert.equal(await t.page.getByRole('columnheader', { name: 'Health' }).getAttribute('aria-sort'), 'descending');
    await t.page.getByText('Connections (22)').click();
    await t.page.waitForURL(/table=connections/);
    await t.page.getByRole('button', { name: 'p95' }).click();
    assert.equal(await first(), 'billing');
    assert.deepEqual(await audit(t.page), []);
    await t.page.locator('tbody button').first().focus();
    await t.page.keyboard.press('Enter');
    await t.page.getByRole('complementary', { name: /^Connection from billing/ }).waitFor();
  });

  test('2,000 services come in pages', async () => {
    await t.open('2000', '?view=table', table);
    assert.equal(await t.page.locator('tbody tr').count(), 100);
    await t.page.getByRole('button', { name: 'Page 20' }).click();
    await t.page.locator('tbody tr').first().waitFor();
    assert.deepEqual(await audit(t.page), []);
  });
});

suite('states', {}, (t) => {
  test('nothing seen yet', async () => {
    await t.open('empty', '', state('empty'));
    await t.page.getByText('No traffic seen in this window').waitFor();
    assert.deepEqual(await audit(t.page), []);
    await t.page.getByRole('button', { name: 'Look at the last 24 hours' }).click();
    await t.page.waitForURL(/range=24h/);
    server.set('5');
    await mapReady(t.page); // by itself, with the next answer
  });

  test('not capturing', async () => {
    await t.open('unready', '', state('detached'));
    await t.page.getByText('The kernel refused every program').or(t.page.getByText('the kernel refused every program')).first().waitFor();
    await t.page.getByRole('button', { name: /^Not capturing/ }).waitFor();
    assert.deepEqual(await audit(t.page), []);
  });

  test('the server fails: its own words, and another try', async () => {
    await t.open('error', '', (page) => page.getByRole('alert').waitFor());
    await t.page.getByText('Storage unavailable').waitFor();
    await t.page.getByText('opening block 01HX: input/output error').waitFor();
    assert.deepEqual(await audit(t.page), []);
    server.set('5');
    await t.page.getByRole('button', { name: 'Try again' }).click();
    await mapReady(t.page);
  });

  test('waiting for the first answer', async () => {
    await t.open('slow', '', (page) => page.getByRole('status', { name: 'Loading the service map' }).waitFor());
    assert.deepEqual(await audit(t.page), []);
  });

  test('something selected that is gone', async () => {
    await t.open('5', '?node=gone');
    await t.page.getByText('nothing is known of gone in this window').waitFor();
  });

  test('no such page', async () => {
    await t.open('5', 'nowhere', (page) => page.getByText('There is no such page').waitFor());
    await t.page.getByRole('link', { name: 'To the service map' }).click();
    await mapReady(t.page);
  });

  test('capture loss is told', async () => {
    await t.open('20');
    await t.page.getByRole('button', { name: /^Capture loss/ }).click();
    await t.page.getByText('312 events lost at kernel').waitFor();
  });
});

suite('colours', { scheme: 'dark' }, (t) => {
  test('follow the system until told otherwise, and are remembered', async () => {
    await t.open('20');
    const scheme = () => t.page.evaluate(() => document.documentElement.dataset.mantineColorScheme);
    assert.equal(await scheme(), 'dark');
    assert.deepEqual(await audit(t.page), []);
    await t.page.getByRole('button', { name: 'Colours' }).click();
    await t.page.getByRole('menuitem', { name: 'Light' }).click();
    assert.equal(await scheme(), 'light');
    await t.page.reload();
    await mapReady(t.page);
    assert.equal(await scheme(), 'light');
  });
});

suite('hostile names', {}, (t) => {
  test('are text and nothing else', async () => {
    let dialogs = 0;
    t.page.on('dialog', (d) => { dialogs++; void d.dismiss(); });
    await t.open('hostile');
    assert.match(await t.card('h0').textContent(), /^<script>alert\(1\)<\/script>/);
    assert.match(await t.card('h7').textContent(), /^a\\u202eevil/);
    assert.equal(await t.card('h2').locator('[title]').getAttribute('title'), 'x'.repeat(300));
    await t.clickCard('h2');
    await t.page.getByRole('complementary').waitFor();
    assert.ok(await t.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
    await t.page.goto(`${server.url}/?view=table`);
    await table(t.page);
    assert.equal(dialogs, 0);
    assert.equal(await t.page.locator('main script, main img').count(), 0);
  });
});

suite('2,000 nodes', {}, (t) => {
  test('are drawn, searched and read close by', async () => {
    await t.open('2000');
    await t.page.getByText('2,000 services').waitFor();
    assert.ok((await t.page.locator('[data-node]').count()) <= 450);
    await t.page.keyboard.press('/');
    await t.page.keyboard.type('team-tax gateway');
    await t.page.keyboard.press('Enter');
    await t.page.getByRole('complementary').waitFor();
    await t.card(t.query().node).waitFor();
    const cards = await t.page.locator('[data-node]').count();
    assert.ok(cards > 1 && cards <= 450, `${cards} cards`);
    await t.page.getByRole('button', { name: 'Show everything' }).click();
    await t.page.waitForFunction(() => document.querySelectorAll('[data-node]').length === 0);
  });
});

suite('phone', { viewport: PHONE, touch: true, scale: 2 }, (t) => {
  test('map, panel over it, and nothing sticks out', async () => {
    await t.open('5');
    const fits = () => t.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
    assert.ok(await fits());
    assert.deepEqual(await audit(t.page), []);
    const box = await t.card('cart').boundingBox();
    await t.page.touchscreen.tap(box.x + box.width / 2, box.y + box.height / 2);
    const sheet = t.page.getByRole('dialog', { name: 'cart' });
    await sheet.locator('.uplot').nth(2).waitFor();
    const size = await sheet.boundingBox();
    assert.deepEqual([size.width, size.height], [PHONE.width, PHONE.height]);
    assert.deepEqual(await audit(t.page), []);
    await sheet.getByRole('button', { name: 'Close' }).click();
    await sheet.waitFor({ state: 'detached' });
    await t.page.goto(`${server.url}/?view=table`);
    await table(t.page);
    assert.ok(await fits());
  });
});
