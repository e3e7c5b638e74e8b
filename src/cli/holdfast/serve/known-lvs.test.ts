import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Snapshot } from '../../../inspect/snapshot/snapshot.ts';
import { lv, snapshot, vg } from '../../../inspect/snapshot/testing/clusters.ts';
import type { ObservePorts } from '../../observe/snapshot.ts';
import { KnownLvs, LVM_EVERY_MS, lookWith } from './known-lvs.ts';

/** Looks at a host whose lvmlockd has the lock of `data`, or has not; lvm is asked by `lvs`. */
class Looks {
  nowMs = 0;
  asked = 0;
  lockHere: 'ex' | null = null;
  works = true;
  readonly #known = new KnownLvs(
    () => {
      this.asked += 1;
      return Promise.resolve(
        this.works ? { ok: true, value: [], isOfNow: false } : { ok: false, error: 'lvs failed' },
      );
    },
    () => this.nowMs,
  );

  async look(): Promise<Snapshot> {
    // What a look needs beside is not asked for here.
    const ports = {} as Omit<ObservePorts, 'lvs'>;
    return lookWith(this.#known, ports, async ({ lvs }) => {
      await lvs();
      return snapshot({ vgs: [vg('vg0', [{ ...lv('data'), lockHere: this.lockHere }])] });
    });
  }
}

test('lvm is asked once a minute, and at once when a lock has changed', async () => {
  const looks = new Looks();
  for (let n = 0; n < 12; n++, looks.nowMs += 5000) await looks.look();
  assert.equal(looks.asked, 1);
  looks.nowMs = LVM_EVERY_MS;
  await looks.look();
  assert.equal(looks.asked, 2);
  looks.lockHere = 'ex';
  await looks.look();
  assert.equal(looks.asked, 3);
  await looks.look();
  assert.equal(looks.asked, 3);
});

test('when lvm does not answer it is asked again in the next look', async () => {
  const looks = new Looks();
  looks.works = false;
  await looks.look();
  await looks.look();
  assert.equal(looks.asked, 2);
});
