import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { MIB, SECOND_MS } from '../../base/units.ts';
import { SimClock } from '../kernel/clock.ts';
import { Dice } from '../kernel/dice.ts';
import { SimStorage } from '../kernel/disk.ts';
import { LvmHost } from './lvm-host.ts';

/** What C answered over a real sanlock, with two VGs that carry a global lock, replayed against ours. */
const PATH = 'test/vectors/lvmlockd/raw-sanlock-real-duplicate-gl.json';
const DEVICES = ['/dev/mapper/vgs1-lvmlock', '/dev/mapper/vgs2-lvmlock'] as const;
const DEVICE_BYTES = 72 * MIB;
const PATIENCE_S = 120;

type Step =
  | { step: 'send' | 'recv'; conn: string; raw: string }
  | { step: 'sleep'; s: number }
  | { step: 'connect' | 'note' | 'datagram' };

interface Difference {
  readonly ours: string;
  readonly why: string;
}

const NOTICED = 'the slot of the VG that was started last is known from its join on, to all VGs';
const MOVED = 'the global lock of the removed VG has moved to vgs1, with the lock of the command';
const HELD = 'the lock of step 73, which C refused, is still there';
const GRANTED = 'op_result = 0\nlm_result = 0\nresult_flags = "none"';
const TWO = 'op_result = 0\nlm_result = 0\nresult_flags = "DUP_GL_LS,"';
/** By the number of the step. */
const DIFFERENCES: Readonly<Record<number, Difference>> = {
  24: { ours: TWO, why: NOTICED },
  26: { ours: TWO, why: NOTICED },
  28: { ours: TWO, why: NOTICED },
  70: { ours: GRANTED, why: MOVED },
  72: { ours: GRANTED, why: MOVED },
  74: { ours: GRANTED, why: MOVED },
  76: { ours: GRANTED, why: MOVED },
  78: { ours: GRANTED, why: MOVED },
  80: { ours: 'op_result = -22\n', why: HELD },
  82: { ours: 'op_result = -114\n', why: HELD },
};

/** Of the recorded reply and ours what 2.03.16 sends: it knows no generations. */
function fieldsOf(reply: string): string {
  const lines = reply.replace('##', '').split('\n');
  return lines.filter((line) => line !== '' && !/^(ls|prev)_generation/.test(line)).join('\n');
}

function newHost(clock: SimClock): LvmHost {
  const storage = new SimStorage();
  for (const path of DEVICES) storage.add(path, DEVICE_BYTES);
  const [devicePath, ...moreDevicePaths] = DEVICES;
  const host = new LvmHost({
    ...{ hostId: 1, clock, storage, dice: new Dice(1, 'host1'), ioTimeoutS: 2 },
    ...{ devicePath, moreDevicePaths, hasWatchdog: false, reset: () => {} },
    watch: { logged: () => {}, killpath: () => {}, log: () => {} },
  });
  host.sanlock.hasIoFaults = false;
  host.startSanlock();
  host.startLvmlockd();
  return host;
}

test('two global locks: ours answers as C over sanlock did, but for what is meant to differ', () => {
  const path = `${process.env['HOLDFAST_ROOT'] ?? '.'}/${PATH}`;
  const { steps } = JSON.parse(readFileSync(path, 'utf8')) as { steps: readonly Step[] };
  const clock = new SimClock();
  const command = newHost(clock).openCommand();
  const found: string[] = [];
  let reply: string | null = null;
  for (const [index, step] of steps.entries()) {
    if (step.step === 'sleep') clock.runUntil(clock.nowMs() + step.s * SECOND_MS);
    // The other connection asks for the text of the log.
    if ((step.step !== 'send' && step.step !== 'recv') || step.conn !== 'A') continue;
    if (step.step === 'send') {
      reply = null;
      command.ask(step.raw.replace(/\n##\n$/, ''), (_result, text) => {
        reply = text;
      });
      for (let waited = 0; reply === null && waited < PATIENCE_S; waited++) {
        clock.runUntil(clock.nowMs() + SECOND_MS);
      }
      continue;
    }
    const theirs = fieldsOf(step.raw);
    const wanted = DIFFERENCES[index];
    const ours = fieldsOf(reply ?? 'nothing');
    if (wanted === undefined && ours !== theirs) {
      found.push(`step ${index}: ours ${ours}, C ${theirs}`);
    } else if (wanted !== undefined) {
      assert.ok(!theirs.includes(wanted.ours), `step ${index} is answered as by C`);
      if (!ours.includes(wanted.ours)) found.push(`step ${index}: ${ours}: ${wanted.why}`);
    }
  }
  assert.deepEqual(found, []);
});
