import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REFUSED_LANDS_MS } from '../lease/lease-times.ts';
import type { DiskReply } from '../ports/disk.ts';
import { SimClock } from '../sim/kernel/clock.ts';
import { type IoFate, SimDisks, SimStorage } from '../sim/kernel/disk.ts';
import { OrderedDisk } from './ordered-disk.ts';

const SLOW: IoFate = { landsInMs: 5000, answersInMs: 5000, errno: null };
const QUICK: IoFate = { landsInMs: 1, answersInMs: 1, errno: null };

/** A device whose first write is slow, or as said; `sent` is what reached it, in order. */
function world(first: IoFate = SLOW) {
  const clock = new SimClock();
  const storage = new SimStorage();
  storage.add('/lun', 8192);
  const sent: number[] = [];
  storage.onWrite = (_io, bytes) => sent.push(bytes[0] ?? 0);
  let isFirst = true;
  const plan = (): IoFate => {
    const fate = isFirst ? first : QUICK;
    isFirst = false;
    return fate;
  };
  let disk: OrderedDisk | null = null;
  new SimDisks({ host: 'a', storage, clock, plan }).open('/lun', 1000, (opened) => {
    assert.ok(opened.ok);
    disk = new OrderedDisk(opened.disk, clock);
  });
  clock.runUntil(clock.nowMs() + 1);
  assert.ok(disk !== null);
  const ordered: OrderedDisk = disk;
  const write = (mark: number, offset: number, timeoutMs: number): { reply: string } => {
    const answer = { reply: '' };
    const answered = (reply: DiskReply): void => {
      answer.reply = reply.outcome;
    };
    ordered.write({ offset, bytes: new Uint8Array(512).fill(mark) }, timeoutMs, answered);
    return answer;
  };
  return { clock, ordered, sent, write };
}

test('a write waits for an unanswered one to the same sector, and never overtakes it', () => {
  const { clock, sent, write } = world();
  const first = write(1, 0, 1000);
  clock.runUntil(clock.nowMs() + 1500);
  assert.equal(first.reply, 'unknown');
  const second = write(2, 0, 10_000);
  const elsewhere = write(3, 512, 1000);
  clock.runUntil(clock.nowMs() + 100);
  assert.deepEqual([second.reply, elsewhere.reply], ['', 'done']);
  clock.runUntil(clock.nowMs() + 5000);
  assert.equal(second.reply, 'done');
  assert.deepEqual(sent, [3, 1, 2]);
});

test('a write that could not wait long enough is unknown, and is never sent', () => {
  const { clock, sent, write } = world();
  write(1, 0, 1000);
  clock.runUntil(clock.nowMs() + 1500);
  const second = write(2, 0, 1000);
  clock.runUntil(clock.nowMs() + 20_000);
  assert.equal(second.reply, 'unknown');
  assert.deepEqual(sent, [1]);
});

test('settling ends when the late write has ended, or is unknown', () => {
  const { clock, ordered, write } = world();
  const settled = (timeoutMs: number): { reply: string } => {
    const answer = { reply: '' };
    ordered.settle({ offset: 0, length: 512 }, timeoutMs, (reply) => {
      answer.reply = reply.outcome;
    });
    return answer;
  };
  assert.equal(settled(1).reply, 'done', 'nothing is under way');
  write(1, 0, 1000);
  clock.runUntil(clock.nowMs() + 1500);
  const [short, long] = [settled(1000), settled(10_000)];
  clock.runUntil(clock.nowMs() + 1100);
  assert.deepEqual([short.reply, long.reply], ['unknown', '']);
  clock.runUntil(clock.nowMs() + 5000);
  assert.equal(long.reply, 'done');
});

const REFUSED: IoFate = { landsInMs: 0, answersInMs: 1, errno: 5, refusedLandsInMs: 40_000 };

test('nothing goes out after a refused write to the same sector before that can land no more', () => {
  const { clock, sent, ordered, write } = world(REFUSED);
  const first = write(1, 0, 1000);
  clock.runUntil(clock.nowMs() + 10);
  assert.equal(first.reply, 'failed');
  const [second, elsewhere] = [write(2, 0, 10_000), write(3, 512, 1000)];
  clock.runUntil(clock.nowMs() + 10);
  assert.equal(second.reply, 'unknown', 'not worth waiting for');
  assert.equal(elsewhere.reply, 'done');
  clock.runUntil(clock.nowMs() + REFUSED_LANDS_MS - 5000);
  const third = write(4, 0, 10_000);
  let settled = '';
  ordered.settle({ offset: 0, length: 512 }, 10_000, ({ outcome }) => {
    settled = outcome;
  });
  clock.runUntil(clock.nowMs() + 1000);
  assert.deepEqual([third.reply, settled], ['', '']);
  clock.runUntil(clock.nowMs() + 5000);
  assert.deepEqual([third.reply, settled], ['done', 'done']);
  assert.deepEqual(sent, [3, 1, 4]);
});

test('a write that any order suits passes a refused one, not one without an answer', () => {
  for (const [fate, reply] of [
    [REFUSED, 'done'],
    [SLOW, ''],
  ] as const) {
    const { clock, ordered, write } = world(fate);
    write(1, 0, 1000);
    clock.runUntil(clock.nowMs() + 1500);
    let got = '';
    const bytes = new Uint8Array(512).fill(2);
    const answered = ({ outcome }: DiskReply): void => {
      got = outcome;
    };
    ordered.write({ offset: 0, bytes }, 10_000, answered, { overRefused: true });
    clock.runUntil(clock.nowMs() + 100);
    assert.equal(got, reply);
  }
});

test('what was never sent is not waited for', () => {
  const { clock, ordered, write } = world(QUICK);
  let got = '';
  const answered = ({ outcome }: DiskReply): void => {
    got = outcome;
  };
  const bytes = new Uint8Array(512);
  ordered.write({ offset: 0, bytes }, 1000, answered, { mayStart: () => false });
  clock.runUntil(clock.nowMs() + 10);
  const next = write(1, 0, 1000);
  clock.runUntil(clock.nowMs() + 10);
  assert.deepEqual([got, next.reply], ['failed', 'done']);
});

test('many writes to one sector are done one after the other, with a timer or two for each', () => {
  const { clock, sent, write } = world();
  const many = 1000;
  let timers = 0;
  const { after } = clock;
  clock.after = (delayMs, fire) => {
    timers++;
    return after.call(clock, delayMs, fire);
  };
  const all = Array.from({ length: many }, (_, mark) => write(mark, 0, 60_000));
  clock.runUntil(clock.nowMs() + 30_000);
  assert.ok(all.every(({ reply }) => reply === 'done'));
  assert.deepEqual(
    sent,
    all.map((_, mark) => mark % 256),
  );
  assert.ok(timers < 10 * many, `${timers} timers`);
});
