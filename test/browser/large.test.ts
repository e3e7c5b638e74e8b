import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from './chromium.ts';
import { largeCluster } from './made-up.ts';
import { IS_SHOWN, NEEDS_BROWSER, type Shown, withPage } from './with-page.ts';

/** 2,000 hosts and 5,000 leases. */

const FIRST_PAINT_MS = 1000;
const UPDATE_MS = 100;
/** The machine has other work: one try within the limit is what the page needs by itself. */
const TRIES = 12;
/** So long a loop keeps a core busy, to see how much of it this machine gives us now. */
const CALIBRATION_MS = 40;

test('all hosts and leases are there, and few are in the document', NEEDS_BROWSER, async () => {
  await withPage({ looks: [largeCluster()] }, async ({ page }) => {
    const text = await page.value<string>('document.body.innerText');
    assert.match(text, /2000 hosts/);
    assert.match(text, /4167 of 5001 leases held/);
    assert.match(text, /All 2000\s+Live 1991\s+Failing 4\s+Dead 5/);
    assert.ok((await page.value<number>(`document.querySelectorAll('tr').length`)) < 150);
    const last = async (part: string) => {
      await page.value(`document.querySelector('.${part} .row').focus()`);
      await page.key('End');
      await page.until('the last row', `document.activeElement.closest('tr').dataset.row > 1000`);
      return page.value<string>(`document.activeElement.closest('tr').innerText`);
    };
    assert.match(await last('hosts'), /2000\s+node-2000\.example\.net\s+●\s+live\s+\d+ s/);
    assert.match(
      await last('leases'),
      /large\/guest-4999\s+exclusive\s+●\s+live\s+node-1000\.example\.net/,
    );
    // Halfway, by the scroll bar.
    await page.value(`document.querySelector('.leases .rows').scrollTop = 2500 * 28`);
    await page.until(
      'rows of the middle',
      `[...document.querySelectorAll('.leases tbody tr')].some((row) => row.dataset.row === '2505')`,
    );
    const row = `document.querySelector('.leases tr[data-row="2505"]')`;
    assert.equal(await page.value(`${row}.querySelector('.row').innerText`), 'large/guest-2504');
    const inSight = await page.value<boolean>(`(() => {
      const one = ${row}.getBoundingClientRect();
      const box = document.querySelector('.leases .rows').getBoundingClientRect();
      return one.top >= box.top && one.bottom <= box.bottom;
    })()`);
    assert.ok(inSight);
  });
});

test('one among thousands is found', NEEDS_BROWSER, async () => {
  await withPage({ looks: [largeCluster()] }, async ({ page }) => {
    await page.key('/');
    await page.type('node-1999.');
    await page.until('the host', `document.querySelectorAll('.hosts tbody tr').length === 1`);
    const leases = await page.value<string[]>(
      `[...document.querySelectorAll('.leases .row')].map((one) => one.innerText)`,
    );
    assert.deepEqual(leases, ['large/guest-1998', 'large/guest-3998']);
  });
});

test('after many updates the page is what a page is that comes then', NEEDS_BROWSER, async () => {
  const looks = [largeCluster(0)];
  await withPage({ looks }, async ({ page, host }) => {
    for (let step = 1; step < 30; step++) host.look(largeCluster(step));
    const rows = `[...document.querySelectorAll('tbody tr')].map((one) => one.innerText).join('\\n')`;
    await page.until('the last look', `document.querySelector('main').dataset.looks === '30'`);
    await page.value(`document.querySelector('.leases .rows').scrollTop = 50 * 28`);
    await page.until('row 50', `document.querySelector('.leases tr[data-row="51"]')`);
    const moved = `document.querySelector('.leases tr[data-row="51"]').innerText`;
    assert.match(await page.value(moved), /guest-50\s+exclusive\s+●.*node-80\.example\.net/s);
    await page.value(`document.querySelector('.leases .rows').scrollTop = 0`);
    await page.until('the first rows', `document.querySelector('.leases tr[data-row="0"]')`);
    const withoutAges = (text: string) => text.replace(/\d+ (s|min|h)\b/g, 'N');
    const before = withoutAges(await page.value<string>(rows));
    await page.go(host.url);
    await page.until('the page again', `document.querySelector('main')?.dataset.looks === '1'`);
    assert.equal(withoutAges(await page.value<string>(rows)), before);
  });
});

/** The best of some tries, and none more than it takes to be within the limit. */
async function bestOf(limit: number, attempt: () => Promise<number>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let n = 0; n < TRIES && best > limit; n++) best = Math.min(best, await attempt());
  return best;
}

/** The share of a core that a busy process gets, 0..1. */
function coreShare(): number {
  const [startedMs, before] = [performance.now(), process.cpuUsage()];
  let used = process.cpuUsage(before);
  while (used.user + used.system < CALIBRATION_MS * 1000) used = process.cpuUsage(before);
  return Math.min(1, CALIBRATION_MS / (performance.now() - startedMs));
}

/**
 * Milliseconds from the request of the page until its tables have been painted, of a core that has
 * nothing else to do: as far as others have it meanwhile, the time does not count.
 */
async function paintedMs({ page, host }: Shown): Promise<number> {
  await page.go('about:blank');
  const before = coreShare();
  await page.go(host.url);
  await page.until('the hosts', IS_SHOWN);
  const painted = await page.value<number>(`new Promise((resolve) => {
    // What was rendered with the first look is painted before the frame after it.
    requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now())));
  })`);
  return painted * Math.max(before, coreShare());
}

/** Milliseconds for which the main thread was on a core since the last call. */
class BusyTime {
  readonly #page: Page;
  #lastS = 0;

  constructor(page: Page) {
    this.#page = page;
  }

  async ms(): Promise<number> {
    const { metrics } = (await this.#page.ask('Performance.getMetrics')) as {
      readonly metrics: readonly { readonly name: string; readonly value: number }[];
    };
    const nowS = metrics.find(({ name }) => name === 'TaskDuration')?.value ?? 0;
    const ms = (nowS - this.#lastS) * 1000;
    this.#lastS = nowS;
    return ms;
  }
}

test(
  'first paint within a second, an update within 100 ms of the main thread',
  NEEDS_BROWSER,
  async (t) => {
    await withPage({ looks: [largeCluster()] }, async (shown) => {
      const { page, host } = shown;
      const painted = await bestOf(FIRST_PAINT_MS, () => paintedMs(shown));
      await page.ask('Performance.enable', { timeDomain: 'threadTicks' });
      const busy = new BusyTime(page);
      let step = 0;
      const updated = await bestOf(UPDATE_MS, async () => {
        step += 1;
        await busy.ms();
        const looks = Number(await page.value(`document.querySelector('main').dataset.looks`));
        host.look(largeCluster(step));
        await page.until('the update', `document.querySelector('main').dataset.looks > ${looks}`);
        await page.value(
          'new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))',
        );
        return busy.ms();
      });
      t.diagnostic(`painted after ${Math.round(painted)} ms, updated in ${Math.round(updated)} ms`);
      assert.ok(painted <= FIRST_PAINT_MS, `painted after ${painted} ms`);
      assert.ok(updated <= UPDATE_MS, `the main thread was busy for ${updated} ms`);
    });
  },
);
