import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { isMounted, mirrorOf } from './made-root.ts';

test('another Debian comes from the mirror that apt of this machine uses', () => {
  const old = 'deb [signed-by=/k.gpg] https://mirror.example/debian bookworm main # first\n';
  const other = 'deb https://packages.example/nodejs nodistro main\n';
  const comment = '# deb http://snapshot.example/archive/debian bookworm main\n';
  const present = 'Types: deb\n# http://old.example/debian\nURIs: http://near.example/debian/\n';
  assert.equal(mirrorOf(`${comment}${other}${old}`), 'https://mirror.example/debian');
  assert.equal(mirrorOf(present), 'http://near.example/debian/');
  assert.equal(mirrorOf(other), 'http://deb.debian.org/debian');
  assert.equal(
    mirrorOf('deb http://x.example/debian-security a main'),
    'http://deb.debian.org/debian',
  );
});

test('a folder that somebody has mounted is not removed', () => {
  assert.ok(!isMounted('/var/cache/holdfast/nowhere'));
  const roots = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const deep = roots.map((line) => line.split(' ')[4] ?? '').find((path) => path.length > 1);
  if (deep !== undefined) assert.ok(isMounted(dirname(deep) === '/' ? '' : dirname(deep)));
});
