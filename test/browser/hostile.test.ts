import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostileCluster } from './made-up.ts';
import { NEEDS_BROWSER, withPage } from './with-page.ts';

/** What the page is made of, and no name may add. */
const FOREIGN = `[...document.querySelectorAll(
  'iframe, object, embed, svg, form, base, meta[http-equiv], style, audio, video, ' +
  'script:not([src="/page.js"]), img:not([src="/icon.svg"]), link:not([href^="/"]), ' +
  'a:not([href="/metrics"]):not([href="#lockspaces"]), [style*="url"]'
)].map((one) => one.outerHTML.slice(0, 200))`;
const HANDLERS = `[...document.querySelectorAll('*')].flatMap((one) =>
  [...one.attributes].filter(({ name }) => name.startsWith('on')).map(({ name }) => name))`;
/** In texts and in attributes. */
const UNSEEN = `[...(document.documentElement.outerHTML + document.title).matchAll(
  /[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Default_Ignorable_Code_Point}]/gu
)].map(([one]) => one.codePointAt(0).toString(16)).filter((code) => code !== 'a')`;

test(
  'names that are no names reach the page as text, whole and visible',
  NEEDS_BROWSER,
  async () => {
    await withPage({ looks: [hostileCluster(), hostileCluster()] }, async ({ page }) => {
      const check = async (where: string) => {
        assert.deepEqual(await page.value(FOREIGN), [], where);
        assert.deepEqual(await page.value(HANDLERS), [], where);
        assert.deepEqual(await page.value(UNSEEN), [], where);
        assert.equal(await page.value('typeof globalThis.harmed'), 'undefined', where);
        assert.deepEqual(page.complaints, [], where);
      };
      await check('page');
      const text = await page.value<string>('document.body.innerText');
      for (const name of [
        '<img src=x onerror="globalThis.harmed=1">',
        '<script>globalThis.harmed=1</script>',
        'vm?gnp.exe?',
        'two?lines??three',
        '__proto__',
      ]) {
        assert.ok(text.includes(name), name);
      }
      const rows = await page.value<number>(`document.querySelectorAll('.row').length`);
      assert.ok(rows > 20, `${rows}`);
      for (let row = 0; row < rows; row++) {
        await page.value(`document.querySelectorAll('.row')[${row}].click()`);
        await page.until('a dialog', `document.querySelector('dialog[open]')`);
        await check(`row ${row}`);
        await page.value(`document.querySelector('dialog').close()`);
        await page.until('its end', `document.querySelector('dialog') === null`);
      }
      const cards = await page.value<number>(`document.querySelectorAll('.card').length`);
      for (let card = 0; card < cards; card++) {
        await page.value(`document.querySelectorAll('.card')[${card}].click()`);
      }
      await check('charts');
    });
  },
);

test('what a script would do with a name as markup is forbidden', NEEDS_BROWSER, async () => {
  await withPage({ looks: [hostileCluster()] }, async ({ page }) => {
    const tried = await page.value<string[]>(`(() => {
      const tries = [
        () => { document.body.insertAdjacentHTML('beforeend', '<b>x</b>'); },
        () => { document.querySelector('h1').innerHTML = '<b>x</b>'; },
        () => { document.body.setAttribute('onclick', '1'); },
        () => { document.createElement('script').text = '1'; },
      ];
      return tries.map((one) => { try { one(); return 'done'; } catch (e) { return e.name; } });
    })()`);
    assert.ok(!tried.includes('done'), tried.join(' '));
    await page.value(`fetch('https://example.com/').catch(() => {})`);
    await page.until('nothing left', 'true');
    assert.ok(page.complaints.some((one) => /Content.?Security.?Policy/i.test(one)));
  });
});
