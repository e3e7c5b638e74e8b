import { after } from 'node:test';
import type { Snapshot } from '../../src/inspect/snapshot/snapshot.ts';
import { browserObstacle, Chromium, type Page } from './chromium.ts';
import { ShownHost } from './shown-host.ts';

const obstacle = browserObstacle();
/** For `test`: left out, with the reason, where there is no browser. */
export const NEEDS_BROWSER = { skip: obstacle ?? false, timeout: 300_000 };

let browser: Promise<Chromium> | null = null;
after(async () => {
  if (browser !== null) await (await browser).close();
});

export interface Shown {
  readonly host: ShownHost;
  readonly page: Page;
}

export interface ShownOptions {
  readonly looks?: readonly Snapshot[];
  readonly size?: { readonly width: number; readonly height: number };
  readonly scheme?: 'light' | 'dark';
  readonly names?: readonly string[];
  readonly token?: string;
}

export const WIDE = { width: 1280, height: 1000 };
export const PHONE = { width: 360, height: 780 };
/** Shown, with all that was known by then. */
export const IS_SHOWN = 'document.querySelector("main[data-looks]")';

/** Opens the page of a host that was seen so, and closes it behind the test. */
export async function withPage(
  options: ShownOptions,
  body: (shown: Shown) => Promise<void>,
): Promise<void> {
  const { looks = [], size = WIDE, scheme = 'light', names, token } = options;
  browser ??= Chromium.start();
  const host = new ShownHost(names, token);
  await host.start();
  for (const look of looks) host.look(look);
  const page = await (await browser).open(size);
  try {
    await page.prefer(scheme);
    await page.go(host.url);
    if (token === undefined && looks.length > 0) await page.until('the host', IS_SHOWN);
    await body({ host, page });
  } finally {
    await page.close();
    await host.close();
  }
}
