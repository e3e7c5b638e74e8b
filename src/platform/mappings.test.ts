import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { copiedMappings, type Mapping, parseMapping } from './mappings.ts';

const MAPS = `
00400000-00b00000 r--p 00000000 fe:00 7  /usr/bin/node
00b00000-01a00000 r-xp 00700000 fe:00 7  /usr/bin/node
01a00000-01a10000 r--p 01600000 fe:00 7  /usr/bin/node
01a10000-01a20000 rw-p 01610000 fe:00 7  /usr/bin/node
01a20000-01b00000 rw-p 00000000 00:00 0
7f0000000000-7f0000010000 r--p 00000000 fe:00 9  /usr/lib/locale.gen
7f0000020000-7f0000030000 rw-s 00000000 fe:00 8  /run/shared
7f0000100000-7f0000110000 r--p 00000000 fe:00 5  /usr/lib/libm.so
7f0000110000-7f0000120000 rw-p 00010000 fe:00 6  /usr/lib/libc.so
`;

test('what the dynamic linker and the program write is copied, and nothing else', () => {
  const found = copiedMappings(MAPS).map(({ file, offset }) => `${file} ${offset.toString(16)}`);
  assert.deepEqual(found, [
    '/usr/bin/node 1600000',
    '/usr/bin/node 1610000',
    '/usr/lib/libc.so 10000',
  ]);
});

test('every mapping of which this process has copies is among them', () => {
  createRequire(import.meta.url)('koffi');
  const found = copiedMappings(readFileSync('/proc/self/maps', 'latin1'));
  const inCopies: Mapping[] = [];
  let mapping: Mapping | null = null;
  for (const line of readFileSync('/proc/self/smaps', 'latin1').split('\n')) {
    mapping = parseMapping(line) ?? mapping;
    if (mapping?.file.startsWith('/') === true && /^Anonymous:\s+[1-9]/.test(line)) {
      inCopies.push(mapping);
    }
  }
  assert.ok(inCopies.length > 5);
  for (const { file, start, end } of inCopies) {
    const isFound = found.some((one) => one.start <= start && end <= one.end);
    assert.ok(isFound, `${file} at ${start.toString(16)}`);
  }
});
