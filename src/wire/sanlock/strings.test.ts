import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RES_FLAGS } from './socket.ts';
import {
  exportPath,
  parseLockspace,
  parseResource,
  parseState,
  parseU64,
  printLockspace,
  printResource,
  STRING_CODES,
} from './strings.ts';

const byteString = (limits: { minLength?: number; maxLength: number }) =>
  fc.array(fc.integer({ min: 1, max: 255 }), limits).map((bytes) => String.fromCharCode(...bytes));
const name = byteString({ minLength: 1, maxLength: 48 }).map((text) =>
  text.replace(/[:\\ ]/g, '_'),
);
const path = byteString({ maxLength: 200 }).map((text) => `/${text}`);
const u64 = fc.bigInt({ min: 0n, max: 0xffffffffffffffffn });
const plain = { noNullPrototype: true };
const disk = fc.record({ path, offset: u64 }, plain);
const resource = fc
  .record(
    {
      lockspaceName: name,
      name,
      disks: fc.array(disk, { minLength: 1, maxLength: 4 }),
      lver: u64,
      isShared: fc.boolean(),
    },
    plain,
  )
  .map(({ isShared, lver, ...rest }) =>
    isShared
      ? { ...rest, lver: 0n, flags: RES_FLAGS.SHARED }
      : { ...rest, lver, flags: RES_FLAGS.LVER },
  );

test('a printed resource is parsed back to itself, whatever bytes are in it', () => {
  fc.assert(
    fc.property(resource, (one) => {
      assert.deepEqual(parseResource(printResource(one)), { ok: true, value: one });
    }),
  );
});

test('a printed state string is parsed back to its resources', () => {
  fc.assert(
    fc.property(fc.array(resource, { maxLength: 8 }), (many) => {
      const state = many.map((one) => printResource(one)).join(' ');
      assert.deepEqual(parseState(state), { ok: true, value: many });
    }),
  );
});

test('a printed lockspace is parsed back to itself', () => {
  fc.assert(
    fc.property(fc.record({ name, hostId: u64, path, offset: u64 }, plain), (one) => {
      assert.deepEqual(parseLockspace(printLockspace(one)), one);
    }),
  );
});

test('any bytes are parsed or refused; the parser never throws', () => {
  fc.assert(
    fc.property(byteString({ maxLength: 300 }), (text) => {
      parseLockspace(text);
      parseResource(text);
      parseState(text);
      parseU64(text);
    }),
  );
});

test('strings are parsed and printed as by the C daemon and library', () => {
  assert.deepEqual(parseResource('LS1:RA:/dev/vg/x:1048576:SH'), {
    ok: true,
    value: {
      lockspaceName: 'LS1',
      name: 'RA',
      disks: [{ path: '/dev/vg/x', offset: 1048576n }],
      lver: 0n,
      flags: RES_FLAGS.SHARED,
    },
  });
  assert.deepEqual(parseResource('ab'), { ok: false, error: STRING_CODES.TOO_SHORT });
  assert.deepEqual(parseResource('LS1:RA:/x'), { ok: false, error: STRING_CODES.MALFORMED });
  assert.deepEqual(parseResource('abcd'), { ok: false, error: STRING_CODES.MALFORMED });
  const five = Array.from({ length: 5 }, (_, n) => `/d${n}:0`).join(':');
  assert.deepEqual(parseResource(`L:R:${five}`), { ok: false, error: STRING_CODES.TOO_MANY_DISKS });
  const long = parseResource(`LS1:${'a'.repeat(49)}:/x:0`);
  assert.deepEqual(long, { ok: false, error: STRING_CODES.MALFORMED });

  assert.equal(exportPath('/a b:c'), '/a\\ b\\:c');
  assert.equal(parseLockspace('LX:1:/a\\ b:0').path, '/a b');
  assert.equal(parseLockspace('LX:0x1:/a\\:b:1').path, '/a:b');
  assert.equal(parseU64('0x10'), 16n);
  assert.equal(parseU64('010'), 8n);
  assert.equal(parseU64('089'), 0n);
  assert.equal(parseU64('12x'), 12n);
  assert.equal(parseU64('name'), 0n);
  assert.equal(parseU64('0x'), 0n);
});

test('a backslash of a path is written twice, in a lockspace as in a resource', () => {
  assert.equal(exportPath('/a\\ b\\c'), '/a\\\\\\ b\\\\c');
  assert.equal(parseLockspace('LX:1:/a\\\\b:5').path, '/a\\b');
  assert.equal(parseLockspace('LX:1:/a\\\\:5').offset, 5n);
});

test('an offset that is not a number never means the beginning of the device', () => {
  const offsetOf = (text: string) => {
    const parsed = parseResource(`LS1:RA:/x:${text}`);
    return parsed.ok ? parsed.value.disks[0]?.offset : parsed.error;
  };
  const cases: readonly (readonly [string, bigint | number])[] = [
    ['512', 512n],
    [' +512x', 512n],
    ['0x200', 0n],
    ['-512', 2n ** 64n - 512n],
    ['99999999999999999999', 2n ** 64n - 1n],
    ['', STRING_CODES.MALFORMED],
    ['x', STRING_CODES.MALFORMED],
    ['x:1', STRING_CODES.MALFORMED],
    ['0:', STRING_CODES.MALFORMED],
    ['0:1', 0n],
    ['0:x', 0n],
  ];
  for (const [text, wanted] of cases) assert.equal(offsetOf(text), wanted, text);
  assert.equal(parseLockspace('LS1:1:/x:-512').offset, 2n ** 64n - 512n);
  assert.equal(parseLockspace('LS1:1:/x:x').offset, 0n);
});

test('the host id of a lockspace is decimal, whatever it begins with', () => {
  const hostIds = ['010', '08', '0x1', '-1', '', 'x'].map(
    (text) => parseLockspace(`LS1:${text}:/x:0`).hostId,
  );
  assert.deepEqual(hostIds, [10n, 8n, 0n, 2n ** 64n - 1n, 0n, 0n]);
});
