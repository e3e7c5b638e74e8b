import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AxNode, Page } from './chromium.ts';
import { smallCluster } from './made-up.ts';
import { NEEDS_BROWSER, withPage } from './with-page.ts';

/** The page without a mouse, and without eyes. */

const LOOKS = Array.from({ length: 50 }, (_, n) => smallCluster(n));

/** What has the focus: its name, as a person would call it. */
const focused = (page: Page) =>
  page.value<string>(`(() => {
    const one = document.activeElement;
    if (one === null || one === document.body) return '';
    const text = one.getAttribute('aria-label') ?? one.innerText;
    return one.tagName.toLowerCase() + ' ' + text.split('\\n')[0].trim();
  })()`);

test('Tab goes through the page in order, and each table is one stop', NEEDS_BROWSER, async () => {
  await withPage({ looks: LOOKS }, async ({ page }) => {
    const stops: string[] = [];
    for (let n = 0; n < 40; n++) {
      await page.key('Tab');
      const stop = await focused(page);
      if (stop === '' || stop === stops[0]) break;
      stops.push(stop);
    }
    assert.deepEqual(
      stops,
      [
        'a To the lockspaces',
        'input Search hosts, leases and events',
        'select Theme',
        ...['lvm_vg0', 'lvm_backup', 'guests'].map((name) => `button ${name}`),
        'summary The last renewals as a table',
        ...['All 3', 'Live 2', 'Failing 0', 'Dead 1'].map((name) => `button ${name}`),
        'button 3 gamma',
        ...['All 3', 'Warnings 3'].map((name) => `button ${name}`),
        stops.find((stop) => stop.startsWith('ol ')) ?? 'the events',
        ...['All 49', 'Held 37', 'Free 12', 'Trouble 0'].map((name) => `button ${name}`),
        ...['Lease', 'By'].map((name) => `button ${name}`),
        'button b4c1b0a0f1d94f3e8f3c',
        'a Metrics',
      ].map((stop) => (stop === 'button Lease' ? 'button Lease ↑' : stop)),
    );
  });
});

test('keys go through a table, open a row, and lead back', NEEDS_BROWSER, async () => {
  await withPage({ looks: LOOKS }, async ({ page }) => {
    await page.value(`document.querySelector('.leases .row').focus()`);
    await page.key('ArrowDown');
    await page.key('ArrowDown');
    assert.equal(await focused(page), 'button backup/monthly');
    await page.key('ArrowUp');
    assert.equal(await focused(page), 'button backup');
    await page.key('End');
    await page.until('the last row', `document.activeElement.innerText === 'vg0/vm9-disk0'`);
    const isInSight = `(() => {
      const row = document.activeElement.getBoundingClientRect();
      const box = document.activeElement.closest('.rows').getBoundingClientRect();
      return row.top >= box.top && row.bottom <= box.bottom;
    })()`;
    assert.equal(await page.value(isInSight), true);
    await page.key('Home');
    await page.until('the first row', `document.activeElement.innerText.startsWith('b4c1')`);
    await page.key('PageDown');
    assert.notEqual(await focused(page), 'button b4c1b0a0f1d94f3e8f3c');
    const row = await focused(page);
    await page.key('Enter');
    await page.until('the dialog', `document.querySelector('dialog[open]')`);
    assert.match(await page.value(`document.querySelector('dialog').innerText`), /Lockspace/);
    await page.key('Escape');
    await page.until('its end', `document.querySelector('dialog') === null`);
    assert.equal(await focused(page), row);
  });
});

test(
  'a slash leads to the search, which finds hosts, leases and events',
  NEEDS_BROWSER,
  async () => {
    await withPage({ looks: LOOKS }, async ({ page }) => {
      await page.key('/');
      await page.type('GAMMA');
      const text = (part: string) =>
        page.value<string>(`document.querySelector('.${part}').innerText`);
      await page.until('the hosts', `document.querySelectorAll('.hosts tbody tr').length === 1`);
      assert.match(await text('hosts'), /1 of 3/);
      assert.doesNotMatch(await text('leases'), /vg0\/data\b/);
      assert.match(await text('leases'), /vg0\/vm2-disk0/);
      assert.match(await text('events'), /gamma/);
      await page.type(' and nobody');
      await page.until('nothing', `document.querySelector('.leases .empty')`);
      assert.match(await text('leases'), /No lease is like that/);
    });
  },
);

test('the order of a table is turned around by its heading', NEEDS_BROWSER, async () => {
  await withPage({ looks: LOOKS }, async ({ page }) => {
    const sort = `document.querySelector('.leases thead th').getAttribute('aria-sort')`;
    assert.equal(await page.value(sort), 'ascending');
    await page.value(`document.querySelector('.leases .sort').focus()`);
    await page.key('Enter');
    await page.until('the other order', `${sort} === 'descending'`);
    assert.match(await page.value(`document.querySelector('.leases .row').innerText`), /^vg0\/vm/);
  });
});

const NAMED = new Set(['button', 'link', 'searchbox', 'textbox', 'combobox', 'table', 'dialog']);

function rolesOf(tree: readonly AxNode[]): readonly string[] {
  return tree.map(({ role, name }) => `${role} ${name}`);
}

test('a screen reader hears names, headings, tables and states', NEEDS_BROWSER, async () => {
  await withPage({ looks: LOOKS }, async ({ page }) => {
    const tree = await page.axTree();
    const roles = rolesOf(tree);
    for (const wanted of [
      'heading holdfast',
      'heading Lockspaces 3',
      'heading Hosts × lockspaces 3',
      'heading Events 3',
      'heading Leases 49',
      'searchbox Search hosts, leases and events',
      'combobox Theme',
      'table Hosts and their state in each lockspace',
      'table Leases and who holds them',
      'columnheader lvm_vg0',
      'rowheader vg0/data',
      'rowheader 3 gamma',
      'list This host',
      'banner ',
      'main ',
    ]) {
      assert.ok(roles.includes(wanted), `${wanted} in\n${roles.join('\n')}`);
    }
    const nameless = tree.filter(({ role, name }) => NAMED.has(role) && name.trim() === '');
    assert.deepEqual(nameless, []);
    const cells = roles.filter((role) => /^(grid)?cell /.test(role));
    assert.ok(
      cells.some((cell) => /dead \d+ (s|min)/.test(cell)),
      cells.join('\n'),
    );
    const card = roles.find((role) => role.startsWith('button lvm_vg0'));
    assert.match(card ?? '', /Margin before its users are stopped: \d+ s of 80 s.*2 live.*1 dead/);
    const graphics = roles.filter((role) => /^(Canvas|image|img) ./.test(role));
    assert.deepEqual(graphics, [], 'what a chart shows stands beside it in words');
    assert.ok(roles.some((role) => /Renewal latency of \d+ renewals: median/.test(role)));
  });
});

test(
  'rows that are not in the document are counted for who hears the table',
  NEEDS_BROWSER,
  async () => {
    await withPage({ looks: LOOKS }, async ({ page }) => {
      const table = `document.querySelector('.leases table')`;
      assert.equal(await page.value(`${table}.getAttribute('aria-rowcount')`), '50');
      await page.value(`document.querySelector('.leases .row').focus()`);
      await page.key('End');
      await page.until(
        'the last row',
        `document.activeElement.closest('tr')?.ariaRowIndex === '50'`,
      );
    });
  },
);

test(
  'a warning that comes is told to who hears the page, and stands in the title',
  NEEDS_BROWSER,
  async () => {
    await withPage({ looks: LOOKS.slice(0, 1) }, async ({ page, host }) => {
      const spoken = `document.querySelector('[role=status]').textContent`;
      assert.equal(await page.value(spoken), '');
      assert.equal(await page.value('document.title'), 'alpha – holdfast');
      for (const look of LOOKS.slice(1)) host.look(look);
      await page.until('the sentence', `/took .* over from/.test(${spoken})`);
      host.fail('nobody answers');
      await page.until('the title', `document.title === '(1) alpha – holdfast'`);
    });
  },
);
