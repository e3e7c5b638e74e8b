import { mkdirSync, writeFileSync } from 'node:fs';
import { browserObstacle, Chromium } from '../test/browser/chromium.ts';
import { smallCluster } from '../test/browser/made-up.ts';
import { ShownHost } from '../test/browser/shown-host.ts';

/**
 * Makes the pictures of the page in docs/images, of a made-up cluster:
 * node scripts/run-script.mjs scripts/screenshots.ts
 */
const FOLDER = `${process.env['HOLDFAST_ROOT'] ?? '.'}/docs/images`;
const PICTURES = [
  { name: 'page-light', scheme: 'light', width: 1280, height: 1000 },
  { name: 'page-dark', scheme: 'dark', width: 1280, height: 1000 },
  { name: 'page-narrow', scheme: 'light', width: 360, height: 780 },
] as const;
/** After so many looks a host has died, and an LV of it was taken over. */
const LOOKS = 50;

const obstacle = browserObstacle();
if (obstacle !== null) {
  console.error(obstacle);
  process.exit(1);
}
mkdirSync(FOLDER, { recursive: true });
const host = new ShownHost();
await host.start();
for (let step = 0; step < LOOKS; step++) host.look(smallCluster(step));
const browser = await Chromium.start();
try {
  for (const { name, scheme, width, height } of PICTURES) {
    const page = await browser.open({ width, height });
    await page.prefer(scheme);
    await page.go(host.url);
    await page.until('both charts', `document.querySelectorAll('.chart canvas').length === 2`);
    await page.value('new Promise((resolve) => setTimeout(resolve, 500))');
    writeFileSync(`${FOLDER}/${name}.png`, await page.screenshot());
    await page.close();
  }
} finally {
  await browser.close();
  await host.close();
}
