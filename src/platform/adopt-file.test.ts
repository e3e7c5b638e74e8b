import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { AdoptFile } from './adopt-file.ts';

const TEXT = 'lvmlockd adopt_version 1.0 pid 0 updates 1\nVG: u a sanlock 1.0.0:lvmlock\n';

function place(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'adopt-file-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return join(directory, 'lvmlockd.adopt');
}

test('what was written is read in the same boot, and removed', (t) => {
  const path = place(t);
  const file = new AdoptFile(path);
  assert.equal(file.read(), null);
  writeFileSync(`${path}.new`, 'the draft of one that was killed');
  assert.equal(file.write(TEXT), null);
  assert.match(file.read() ?? '', /^lvmlockd .*\nVG: u a sanlock 1\.0\.0:lvmlock\n$/s);
  assert.equal(file.write(null), null);
  assert.equal(file.read(), null);
  assert.equal(file.write(null), null);
});

test('an old file does not stay when a new one cannot be written', (t) => {
  const path = place(t);
  const file = new AdoptFile(path);
  file.write(TEXT);
  mkdirSync(`${path}.new`);
  assert.match(file.write(TEXT) ?? '', /EEXIST/);
  assert.equal(file.read(), null);
});

test('a file of another boot does not count; one that names none does', (t) => {
  const path = place(t);
  new AdoptFile(path, '0f-1').write(TEXT);
  assert.throws(() => new AdoptFile(path).read(), /another boot/);
  assert.ok(new AdoptFile(path, '0f-1').read() !== null);
  writeFileSync(path, TEXT, { mode: 0o600 });
  assert.equal(new AdoptFile(path).read(), TEXT);
});

test('what others may have written, or what is no file, does not count and does not block', (t) => {
  const path = place(t);
  const file = new AdoptFile(path);
  const refused = (make: () => void, why: RegExp) => {
    rmSync(path, { force: true, recursive: true });
    make();
    assert.throws(() => file.read(), why);
  };
  const write = () => writeFileSync(path, TEXT);
  refused(() => {
    write();
    chmodSync(path, 0o620);
  }, /others? .*write/);
  refused(() => symlinkSync('/etc/passwd', path), /ELOOP/);
  refused(() => mkdirSync(path), /no regular file/);
  refused(() => execFileSync('mkfifo', [path]), /no regular file/);
  refused(() => {
    write();
    truncateSync(path, 20 * 1024 * 1024);
  }, /larger than/);
  if (process.geteuid?.() !== 0) return;
  refused(() => {
    write();
    chownSync(path, 1234, 0);
  }, /belongs to user 1234/);
  assert.equal(file.write(TEXT), null, 'it is replaced all the same');
  assert.ok(file.read() !== null);
  assert.equal(readFileSync(path, 'latin1').split('\n').length, 4);
});
