import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BrokenInvariant } from '../base/assert.ts';
import {
  bigint,
  bytes,
  dictionary,
  flag,
  list,
  MessageReader,
  MessageWriter,
  nullable,
  number,
  oneOf,
  type Part,
  record,
  scalar,
  text,
  variant,
} from './parts.ts';

const writer = new MessageWriter();

function again<T>(part: Part<T>, value: T): T {
  return MessageReader.decode(part, writer.encode(part, value).slice());
}

type Shape =
  | { readonly kind: 'point'; readonly at: number; readonly name?: string }
  | { readonly kind: 'lines'; readonly all: readonly Uint8Array[] }
  | { readonly kind: 'none' };

const shape = variant<Shape, 'kind'>('kind', {
  point: record({ at: number }, { name: text }),
  lines: record({ all: list(bytes) }, {}),
  none: record<object>({}, {}),
});

const anyShape: fc.Arbitrary<Shape> = fc.oneof(
  fc.double().map((at) => ({ kind: 'point', at }) as const),
  fc
    .tuple(fc.integer(), fc.string({ unit: 'binary' }))
    .map(([at, name]) => ({ kind: 'point', at, name }) as const),
  fc
    .array(fc.uint8Array({ maxLength: 9000 }), { maxLength: 3 })
    .map((all) => ({ kind: 'lines', all }) as const),
  fc.constant({ kind: 'none' as const }),
);

test('what is written is read again', () => {
  fc.assert(fc.property(anyShape, (value) => assert.deepEqual(again(shape, value), value)));
  const words = fc.string({ unit: 'binary', maxLength: 40 });
  fc.assert(fc.property(words, (value) => assert.equal(again(text, value), value)));
  const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  fc.assert(fc.property(u64, (value) => assert.equal(again(bigint, value), value)));
  const plain = fc.oneof(words, fc.double(), fc.bigInt(), fc.boolean(), fc.constant(null));
  fc.assert(fc.property(plain, (value) => assert.equal(again(scalar, value), value)));
  const names = fc.dictionary(fc.oneof(words, fc.constant('__proto__')), fc.nat());
  fc.assert(
    fc.property(names, (value) => {
      const known = { ...value };
      assert.deepEqual(again(dictionary(number), known), known);
    }),
  );
  for (const value of [true, false]) assert.equal(again(flag, value), value);
  assert.equal(again(nullable(number), null), null);
  assert.equal(again(nullable(number), 0), 0);
  assert.equal(again(oneOf(['a', 'b']), 'b'), 'b');
});

test('what is read is a copy', () => {
  const part = list(bytes);
  const encoded = writer.encode(part, [new Uint8Array([1, 2, 3])]).slice();
  const [read] = MessageReader.decode(part, encoded);
  encoded.fill(9);
  assert.deepEqual(read, new Uint8Array([1, 2, 3]));
});

test('no other bytes are a message: too few, too many, and words that there are not', () => {
  fc.assert(
    fc.property(anyShape, fc.nat(), (value, at) => {
      const encoded = writer.encode(shape, value).slice();
      const cut = encoded.subarray(0, at % encoded.length);
      assert.throws(() => MessageReader.decode(shape, cut), BrokenInvariant);
      const longer = new Uint8Array(encoded.length + 1);
      longer.set(encoded);
      assert.throws(() => MessageReader.decode(shape, longer), BrokenInvariant);
    }),
  );
  assert.throws(() => MessageReader.decode(shape, new Uint8Array([3])), BrokenInvariant);
  assert.throws(() => MessageReader.decode(oneOf(['a']), new Uint8Array([1])), BrokenInvariant);
});
