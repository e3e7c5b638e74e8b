import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type DebianHost, DebianPair, UNITS, whyNoDebians } from './debian-host.ts';
import { ROOT } from './initramfs.ts';
import { SHARED_DISK } from './vm.ts';

/**
 * docs/operations/exchange.md, command by command, on stock Debian 12 and 13 whose originals share
 * a VG: what stands on that page is typed as it stands there.
 */
const missing = whyNoDebians();
const where = missing === null ? { timeout: 1_500_000 } : { skip: missing };
const CHAPTERS = { check: 'Before', exchange: 'sanlock, wdmd and lvmlockd of one host' } as const;

/** The commands of a chapter, one text for each block of them. */
function blocksOf(chapter: string): readonly string[] {
  const page = readFileSync(`${ROOT}/docs/operations/exchange.md`, 'utf8');
  const text = page.split(/^## /m).find((part) => part.startsWith(`${chapter}\n`)) ?? '';
  const lines = text.split('\n').map((line) => /^ {4,}(\S.*)$/.exec(line)?.[1] ?? '');
  return lines
    .join('\n')
    .split(/\n{2,}/)
    .map((block) => block.trim())
    .filter((block) => block !== '');
}

test('the exchange page, word for word, on stock Debian 12 and 13', where, async (t) => {
  const [leave = '', toOurs = '', join = '', back = '', ...more] = blocksOf(CHAPTERS.exchange);
  assert.deepEqual(more, [], 'each block of the page is typed here');
  const pair = await DebianPair.boot('sanlock lvm2-lockd', 'one');
  const startedMs = Date.now();
  const reached = (step: string) =>
    t.diagnostic(`${step} after ${Math.round((Date.now() - startedMs) / 1000)} s`);
  try {
    await originalsShareVg(pair);
    reached('the originals share a VG');
    await pair.both(async (host) => {
      for (const block of blocksOf(CHAPTERS.check)) {
        assert.match(await host.shell(block), /its settings are sound/);
      }
      await host.shell(leave);
      await host.shell(withYes(toOurs));
      const told = await host.shell(join);
      assert.match(told, /^s lvm_vg1:\d:/m);
      assert.deepEqual(await host.programs(), ['node', 'node', 'node']);
      await obeysDebiansOptions(host);
    });
    reached('both run ours');
    // The way back, of one of them: it is the same for both (vm/debian-package).
    const [, second] = pair.hosts;
    await second.shell(leave);
    await second.shell(withYes(back));
    assert.deepEqual(await second.programs(), [...UNITS]);
    await second.startByOriginals('vg1');
    await contended(pair);
    reached('one runs the originals again');
    const resets = pair.machines.machines.flatMap(({ events }) => events);
    assert.deepEqual(
      resets.filter(({ name }) => name === 'WATCHDOG'),
      [],
    );
  } catch (error) {
    for (const machine of pair.machines.machines) {
      t.diagnostic(`console of ${machine.name}:\n${machine.console().slice(-8000)}`);
    }
    throw error;
  } finally {
    await pair.close();
  }
});

/** The page is for a person, who says yes. */
function withYes(command: string): string {
  return `${command.replace(/^apt-get install /, 'apt-get -y --no-install-recommends install ')} </dev/null`;
}

/** As Debian's packages have set them up. */
async function originalsShareVg(pair: DebianPair): Promise<void> {
  await pair.both(async (host) => {
    await host.configure();
    // Debian 13 has the watchdog of the machine; 12 runs without, by its -w 0.
    await host.shell(`systemctl start ${UNITS.join(' ')}`);
    assert.deepEqual(await host.programs(), [...UNITS]);
  });
  const [first, second] = pair.hosts;
  await first.shell(`vgcreate --shared vg1 ${SHARED_DISK}; lvcreate -an -L 8m -n lv vg1`);
  await second.startByOriginals('vg1');
}

/** Either host can have the LV, and the other is refused meanwhile. */
async function contended({ hosts: [first, second] }: DebianPair): Promise<void> {
  for (const [holder, other] of [
    [first, second],
    [second, first],
  ] as const) {
    await holder.shell('lvchange -aey vg1/lv');
    const { status, output } = await other.run('lvchange -aey vg1/lv 2>&1');
    assert.equal(status, 5, output);
    assert.match(output, /LV locked by other host/);
    await holder.shell('lvchange -an vg1/lv');
  }
}

async function obeysDebiansOptions(host: DebianHost): Promise<void> {
  const usesWatchdog = host.release === 12 ? 0 : 1;
  const status = await host.shell('sanlock client status -D');
  assert.match(status, new RegExp(`^ *use_watchdog=${usesWatchdog}$`, 'm'));
  assert.match(await host.shell('cat /etc/default/sanlock'), /^sanlock_opts="(-w 0)?"$/m);
}
