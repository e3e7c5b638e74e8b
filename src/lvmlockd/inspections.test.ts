import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LD_RESULT } from '../wire/lvmlockd/numbers.ts';
import { nextTickMs } from './daemon.ts';
import { watchOf } from './managers/manager.ts';
import { Harness } from './testing/harness.ts';

const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;
const VG = 'v'.repeat(32);
const VG_UUID = 'vvvvvv-vvvv-vvvv-vvvv-vvvv-vvvv-vvvvvv';
const uuid = (letter: string) => letter.repeat(32);
const dashed = (letter: string) => [6, 4, 4, 4, 4, 4, 6].map((n) => letter.repeat(n)).join('-');
const refresh = (letter: string) =>
  `request="refresh_lv" path="/dev//a/${letter}" lv_uuid="${dashed(letter)}"`;
const AGAIN = { result: LD_RESULT.AGAIN, lmResult: -16 };
const OFFLINE = { result: LD_RESULT.REFUSED, lmResult: -107 };

/** A VG `a` whose LVs x and y are shared here; by the metadata x has 8 MiB, or what the test says. */
class SharedVg extends Harness {
  /** MiB by the metadata. */
  readonly sizes = new Map([
    ['x', 8],
    ['y', 8],
  ]);
  readonly ran: string[] = [];

  constructor() {
    super({
      set: ({ fake }) => {
        fake.hearsHosts = true;
      },
    });
    this.fake.program = (words) => this.#program(words);
    this.open(1);
    this.start('a');
    for (const letter of this.sizes.keys()) {
      const lv = `vg_name="a" lv_uuid="${dashed(letter)}" lv_lock_args="1.0.0:70254592"`;
      this.ask(1, `request="lock_lv" mode="sh" opts="persistent" ${lv}`);
      this.resize(letter, 8);
    }
    this.passUntil(2 * MINUTE_MS);
    this.quiet();
  }

  quiet(): void {
    for (const list of [this.ran, this.fake.did, this.logged]) list.length = 0;
  }

  /** The device of an LV. */
  resize(letter: string, mib: number): void {
    const lvUuid = uuid(letter);
    const device = {
      deviceName: `a-${letter}`,
      deviceUuid: `LVM-${VG}${lvUuid}`,
      vgUuid: VG,
      lvUuid,
      sizeBytes: mib * MIB,
      isHeld: false,
    };
    const others = (this.fake.devices ?? []).filter((one) => one.lvUuid !== lvUuid);
    this.fake.devices = [...others, device];
  }

  /** Every tick that is due by then. */
  passUntil(endMs: number): void {
    for (let n = 0; n < 1000; n++) {
      const dueMs = nextTickMs(this.state);
      if (dueMs === null || dueMs > endMs) break;
      this.passTo(dueMs);
    }
    this.passTo(endMs);
  }

  hear(lvMark: string, order: number, fromHostId = 2): void {
    const notice = { lvMark, order, fromHostId, fromGeneration: 1 };
    this.post({ kind: 'heard', session: this.channel, notice });
  }

  get channel(): number {
    return watchOf(this.state.lockspaces[0]?.id ?? 0);
  }

  get tells(): readonly string[] {
    return this.fake.did.filter((one) => one.startsWith('tell'));
  }

  get refreshes(): readonly string[] {
    return this.ran.filter((one) => one.includes('lvchange'));
  }

  #program(words: readonly string[]) {
    this.ran.push(words.slice(1, 2).concat(words.slice(-1)).join(' '));
    if (words[1] !== 'lvs') {
      for (const [letter, mib] of this.sizes) {
        if (words.includes(`a/${letter}`)) this.resize(letter, mib);
      }
      return { status: 0, output: '', trouble: '' };
    }
    const lines = [...this.sizes].map(
      ([letter, mib]) => `  ${dashed(letter)}:${VG_UUID}:${mib * MIB}:1.0.0:70254592:${letter}\n`,
    );
    return { status: 0, output: lines.join(''), trouble: '' };
  }
}

test('an LV that another host names is refreshed once, however often that is heard', () => {
  const vg = new SharedVg();
  vg.sizes.set('x', 16);
  vg.hear('xxxxxxxx', 5);
  vg.hear('xxxxxxxx', 5);
  assert.deepEqual(vg.refreshes, ['lvchange a/x']);
  assert.deepEqual(vg.logged, ['refresh.heard', 'lv.refreshed']);
  vg.hear('xxxxxxxx', 6);
  assert.equal(vg.refreshes.length, 2, 'another notice');
  vg.hear('xxxxxxxx', 5, 3);
  assert.equal(vg.refreshes.length, 3, 'of another host');
  assert.deepEqual(vg.tells, [], 'nobody tells back what it has heard');
});

test('what is heard during an inspection is done after it', () => {
  const vg = new SharedVg();
  vg.holdBack = true;
  vg.hear('xxxxxxxx', 5);
  vg.hear('yyyyyyyy', 6);
  assert.equal(vg.held.length, 1, 'one inspection of a VG at a time');
  vg.finish();
  assert.deepEqual(vg.refreshes, ['lvchange a/x', 'lvchange a/y']);
});

test('refresh_lv tells the other hosts, and the command does not wait for them', () => {
  const vg = new SharedVg();
  assert.equal(vg.ask(1, refresh('x')), '0 none');
  assert.deepEqual(vg.tells, ['tell xxxxxxxx']);
  assert.deepEqual(vg.refreshes, []);
});

test('a second LV while the first is shown: all LVs of the VG are named; later one again', () => {
  const vg = new SharedVg();
  vg.ask(1, refresh('x'));
  vg.ask(1, refresh('x'));
  vg.ask(1, refresh('y'));
  vg.ask(1, refresh('x'));
  assert.deepEqual(vg.tells, ['tell xxxxxxxx', 'tell xxxxxxxx', 'tell all', 'tell all']);
  vg.passUntil(4 * MINUTE_MS);
  vg.quiet();
  vg.ask(1, refresh('y'));
  assert.deepEqual(vg.tells, ['tell yyyyyyyy']);
});

test('while another event is shown a notice waits, for the whole VG, and not for ever', () => {
  const vg = new SharedVg();
  vg.fake.tells = [AGAIN, AGAIN];
  assert.equal(vg.ask(1, refresh('x')), '0 none');
  assert.deepEqual(vg.logged, []);
  vg.passUntil(2 * MINUTE_MS + 10_000);
  assert.deepEqual(vg.tells, ['tell xxxxxxxx', 'tell all', 'tell all']);
  assert.deepEqual(vg.logged, ['refresh.told']);

  const never = new SharedVg();
  never.fake.tells = Array.from({ length: 1000 }, () => AGAIN);
  never.ask(1, refresh('x'));
  never.passUntil(10 * MINUTE_MS);
  assert.deepEqual(never.logged, ['refresh.notTold']);
});

test('a host that cannot tell the others says so, and lvm tells the administrator', () => {
  const vg = new SharedVg();
  vg.fake.tells = [OFFLINE];
  assert.equal(vg.ask(1, refresh('x')), '-1 none');
  assert.deepEqual(vg.logged, ['refresh.notTold']);
  vg.ask(1, 'request="kill_vg" vg_name="a"');
  assert.equal(vg.ask(1, refresh('x')), '-221 none');
});

test('a command of this host that changes a size without telling it: lvmlockd tells it', () => {
  const vg = new SharedVg();
  vg.ask(1, 'request="lock_vg" mode="ex" vg_name="a"');
  vg.ask(1, 'request="vg_update" vg_name="a" version=7');
  vg.sizes.set('x', 16);
  vg.resize('x', 16);
  vg.ask(1, 'request="lock_vg" mode="un" vg_name="a"');
  vg.passUntil(2 * MINUTE_MS + 10_000);
  assert.deepEqual(vg.tells, ['tell xxxxxxxx']);
  assert.deepEqual(vg.ran, [], 'device-mapper alone says it');
});

test('lost notices: what was missed is found after a resume, and every ten minutes', () => {
  const vg = new SharedVg();
  vg.sizes.set('x', 16);
  vg.passUntil(13 * MINUTE_MS);
  assert.deepEqual(vg.refreshes, ['lvchange a/x']);
  vg.quiet();
  vg.sizes.set('y', 16);
  vg.post({ kind: 'sessionLost', session: vg.channel }); // and it is opened again
  vg.passUntil(13 * MINUTE_MS + 5000);
  assert.deepEqual(vg.refreshes, ['lvchange a/y']);
});

test('a refresh that fails is tried again, a few times', () => {
  const vg = new SharedVg();
  const works = vg.fake.program;
  vg.fake.program = (words) => {
    const end = works(words);
    return words[1] === 'lvs' ? end : { status: 5, output: '', trouble: 'VG a lock failed' };
  };
  vg.sizes.set('x', 16);
  vg.resize('x', 8);
  vg.hear('xxxxxxxx', 5);
  vg.passUntil(8 * MINUTE_MS);
  const tries = vg.refreshes.length;
  assert.ok(tries >= 5 && tries <= 12, `${tries} tries`);
  assert.ok(vg.logged.includes('lv.otherSize'), 'and an administrator is told');
});

test('a VG that is not running is not inspected', () => {
  const vg = new SharedVg();
  vg.ask(1, 'request="kill_vg" vg_name="a"');
  vg.quiet();
  vg.hear('xxxxxxxx', 5);
  vg.passUntil(4 * MINUTE_MS);
  assert.deepEqual(vg.ran, []);
});
