import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  holder,
  lockspace,
  lv,
  member,
  snapshot,
  vg,
} from '../../src/inspect/snapshot/testing/clusters.ts';
import type { Page } from './chromium.ts';
import { smallCluster } from './made-up.ts';
import { ShownHost } from './shown-host.ts';
import { IS_SHOWN, NEEDS_BROWSER, PHONE, withPage } from './with-page.ts';

const LOOKS = Array.from({ length: 50 }, (_, n) => smallCluster(n));

async function textOf(page: Page, selector: string): Promise<string> {
  const part = `document.querySelector(${JSON.stringify(selector)})`;
  return (await page.value<string>(`${part}?.innerText ?? ''`)).replace(/\s+/g, ' ');
}

test('a host is shown whole, and the browser complains of nothing', NEEDS_BROWSER, async () => {
  await withPage({ looks: LOOKS }, async ({ page }) => {
    const text = await textOf(page, 'body');
    for (const part of [
      'as seen by alpha host id 1',
      'watchdog on',
      '3 hosts',
      'lvm_vg0',
      '✓ joined',
      /Renewal latency of \d+ renewals: median 4\.0 ms/,
      'vg0/data',
      /gamma ✕ dead \d+ (s|min)/,
      'beta (host id 2, generation 1) took vg0/database exclusively over from gamma',
      'qemu-system-x86_64',
    ]) {
      const isThere = typeof part === 'string' ? text.includes(part) : part.test(text);
      assert.ok(isThere, `${part} in:\n${text}`);
    }
    const charts = await page.value<number>(
      `[...document.querySelectorAll('.chart canvas')].filter((one) => one.width > 100).length`,
    );
    assert.equal(charts, 2);
    assert.deepEqual(page.complaints, []);
  });
});

test('what changes is shown without a reload, and its age grows', NEEDS_BROWSER, async () => {
  await withPage({ looks: LOOKS.slice(0, 1) }, async ({ page, host }) => {
    await page.value('globalThis.mark = 1');
    assert.match(await textOf(page, '.events'), /Nothing has happened/);
    for (const look of LOOKS.slice(1)) host.look(look);
    await page.until('gamma is dead', `document.querySelector('.hosts .state.dead')`);
    assert.match(await textOf(page, '.events'), /gamma .* is dead/);
    const margin = `parseInt(document.querySelector('.margin strong').innerText)`;
    const before = await page.value<number>(margin);
    await page.until('less margin', `${margin} < ${before}`);
    assert.equal(await page.value('globalThis.mark'), 1);
  });
});

test('a look that fails, and a server that is gone and comes back', NEEDS_BROWSER, async () => {
  await withPage({ looks: LOOKS }, async ({ page, host }) => {
    host.fail('sanlock <b>hangs</b>');
    await page.until('the failure', `document.querySelector('.attention .error')`);
    assert.match(await textOf(page, '.attention'), /not seen: sanlock <b>hangs<\/b>/);
    const { port } = host;
    await host.close();
    const fresh = (words: string) =>
      `document.querySelector('.fresh').innerText.includes('${words}')`;
    await page.until('the loss of the server', fresh('server not reached'));
    assert.match(await textOf(page, '.leases'), /vg0\/data/, 'what was known stays');
    const next = new ShownHost();
    await next.start(port);
    next.look(smallCluster(0));
    try {
      await page.until('the next server', fresh('seen'));
      assert.match(await textOf(page, '.events'), /Nothing has happened/);
    } finally {
      await next.close();
    }
  });
});

test('the token is asked for once, and stands in no address', NEEDS_BROWSER, async () => {
  const token = 'correct-horse-battery';
  await withPage({ looks: LOOKS, token }, async ({ page, host }) => {
    await page.until('the question', `document.querySelector('#token')`);
    assert.doesNotMatch(await textOf(page, 'body'), /vg0|alpha/);
    await page.value(`document.querySelector('#token').focus()`);
    await page.type('wrong-wrong-wrong-wrong');
    await page.key('Enter');
    await page.until(
      'the refusal',
      `/not the token/.test(document.querySelector('.wrong').innerText)`,
    );
    await page.value(`document.querySelector('#token').select()`);
    await page.type(token);
    await page.key('Enter');
    await page.until('the host', IS_SHOWN);
    assert.equal(await page.value('location.href'), `${host.url}/`);
    await page.go(host.url);
    await page.until('the host again, by the session', IS_SHOWN);
    assert.equal(await page.value('document.cookie'), '', 'no script reads it');
  });
});

test('of several hosts each has its view', NEEDS_BROWSER, async () => {
  await withPage({ looks: LOOKS.slice(0, 1), names: ['alpha', 'beta'] }, async ({ page, host }) => {
    const [seen = smallCluster()] = LOOKS;
    host.look({ ...seen, host: { name: 'beta', hostId: 2 }, vgs: [] }, 1);
    assert.match(await textOf(page, '.leases'), /vg0\/data/);
    await page.value(`document.querySelectorAll('.views button')[1].click()`);
    await page.until(
      'the other view',
      `document.querySelector('.leases .rows') === null || !document.querySelector('.leases').innerText.includes('vg0/data')`,
    );
    const pressed = `document.querySelector('.views [aria-pressed="true"]')?.innerText === 'beta'`;
    await page.until('its name', pressed);
    const metrics = `document.querySelector('footer a').getAttribute('href')`;
    assert.equal(await page.value(metrics), '/metrics?view=1', 'those of the host that is shown');
  });
});

/** Host id 2 is beta's in one lockspace, and delta's in another. */
const TWO_OF_ONE_ID = snapshot({
  lockspaces: [
    lockspace('lvm_vg0', { members: [member(1, 'alpha'), member(2, 'beta')] }),
    lockspace('lvm_vg1', { members: [member(1, 'alpha'), member(2, 'delta')] }),
  ],
  vgs: [
    vg('vg0', [lv('data', [holder(2, 'beta')])]),
    vg('vg1', [lv('other', [holder(2, 'delta')])]),
  ],
});

test('a host holds nothing of another host with its id', NEEDS_BROWSER, async () => {
  await withPage({ looks: [TWO_OF_ONE_ID] }, async ({ page }) => {
    for (const [name, own] of [
      ['beta', 'vg0/data'],
      ['delta', 'vg1/other'],
    ] as const) {
      const row = `[...document.querySelectorAll('.hosts .row')].find((one) => one.innerText.includes('${name}'))`;
      await page.value(`${row}.click()`);
      await page.until('the dialog', `document.querySelector('dialog[open]')`);
      assert.equal(await textOf(page, 'dialog .held'), `${own} exclusive`);
      await page.value(`document.querySelector('dialog').close()`);
      await page.until('its end', `document.querySelector('dialog') === null`);
    }
  });
});

/** By WCAG: of the text of an element on what is behind it. */
const CONTRASTS = `(() => {
  const luminance = ([r, g, b]) => {
    const part = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const canvas = document.createElement('canvas').getContext('2d');
  const colour = (text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const found = colour(getComputedStyle(at).backgroundColor);
      if (found[3] === 255) return found;
    }
    return [255, 255, 255];
  };
  const worst = {};
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(
      (node) => node.nodeType === 3 && node.data.trim() !== '');
    if (!own || element.closest('.heard, noscript, option') !== null) continue;
    const [a, b] = [luminance(colour(getComputedStyle(element).color)), luminance(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const name = element.className || element.tagName;
    if (!(worst[name] < ratio)) worst[name] = ratio;
  }
  return Object.entries(worst).filter(([, ratio]) => ratio < 4.5);
})()`;

test(
  'light and dark, as the system prefers, or as chosen: every text is readable',
  NEEDS_BROWSER,
  async () => {
    const paper = 'getComputedStyle(document.body).backgroundColor';
    await withPage({ looks: LOOKS, scheme: 'dark' }, async ({ page }) => {
      const dark = await page.value<string>(paper);
      assert.deepEqual(await page.value(CONTRASTS), [], 'dark');
      await page.prefer('light');
      const light = await page.value<string>(paper);
      assert.notEqual(light, dark);
      assert.deepEqual(await page.value(CONTRASTS), [], 'light');
      const choose = (theme: string) =>
        page.value(`(() => {
        const select = document.querySelector('#theme');
        select.value = '${theme}';
        select.dispatchEvent(new Event('change', { bubbles: true }));
      })()`);
      await choose('dark');
      assert.equal(await page.value(paper), dark);
      await page.ask('Page.reload');
      await page.until('the page again', IS_SHOWN);
      assert.equal(await page.value(paper), dark, 'the choice is kept');
      await choose('auto');
      assert.equal(await page.value(paper), light);
    });
  },
);

test(
  'on a phone nothing is beyond the edge, and what is touched is large enough',
  NEEDS_BROWSER,
  async () => {
    await withPage({ looks: LOOKS, size: PHONE }, async ({ page }) => {
      const { width } = PHONE;
      const wide = await page.value<string[]>(`
      [...document.querySelectorAll('body *')]
        .filter((one) => one.closest('.rows, .chart, .heard, .skip') === null)
        .filter((one) => one.getBoundingClientRect().right > ${width} + 0.5)
        .map((one) => one.outerHTML.slice(0, 120))`);
      assert.deepEqual(wide, []);
      assert.equal(await page.value('document.documentElement.scrollWidth'), width);
      const small = await page.value<string[]>(`
      [...document.querySelectorAll('button, select, input')]
        .filter((one) => one.getBoundingClientRect().height < 24)
        .map((one) => one.outerHTML.slice(0, 120))`);
      assert.deepEqual(small, []);
      assert.deepEqual(page.complaints, []);
    });
  },
);
