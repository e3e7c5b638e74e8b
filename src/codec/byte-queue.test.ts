import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteQueue } from './byte-queue.ts';

type Step = { readonly push: Uint8Array } | { readonly take: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map((push) => ({ push })),
  fc.integer({ min: 0, max: 60 }).map((take) => ({ take })),
);

test('bytes come out as they went in, and taken bytes are not overwritten', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new ByteQueue();
      let model: number[] = [];
      const taken: { readonly bytes: Uint8Array; readonly wanted: readonly number[] }[] = [];
      for (const one of steps) {
        if ('push' in one) {
          model.push(...one.push);
          queue.push(one.push);
          one.push.fill(0xee); // the sender's memory is used again
        } else {
          const count = Math.min(one.take, model.length);
          assert.deepEqual([...queue.peek(count)], model.slice(0, count));
          assert.deepEqual([...queue.behind(one.take)], model.slice(one.take));
          taken.push({ bytes: queue.take(count), wanted: model.slice(0, count) });
          model = model.slice(count);
        }
        assert.equal(queue.length, model.length);
      }
      for (const { bytes, wanted } of taken) assert.deepEqual([...bytes], wanted);
    }),
  );
});

test('bytes that have not arrived cannot be taken', () => {
  const queue = new ByteQueue();
  queue.push(Uint8Array.of(1, 2));
  assert.throws(() => queue.take(3));
  assert.throws(() => queue.peek(3));
});
