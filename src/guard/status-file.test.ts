import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseStatusFile } from './status-file.ts';

const DOMAIN = `<domain type='qemu' id='1'><name>g</name>
  <uuid>6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10</uuid><devices>
  <disk type='file'><source file='/srv/a.img'/><target dev='vda'/></disk></devices></domain>`;

/** The first lines of files that libvirtd 9.0 wrote while a guest started, migrated and ended. */
function status(head: string, job = ''): string {
  return `<!-- a comment of libvirt -->\n<domstatus ${head}>${job}\n${DOMAIN}</domstatus>\n`;
}

function said(xml: string): unknown {
  const parsed = parseStatusFile(xml);
  if (!parsed.ok) return parsed.error;
  const { guest, pid, isRunning, migration } = parsed.value;
  return [guest.name, guest.disks.length, pid, isRunning, migration];
}

test('what libvirt starts here is told from what a migration brings, from the first word', () => {
  const startsHere = (head: string, async = '') => {
    const parsed = parseStatusFile(status(head, async === '' ? '' : `<job async='${async}'/>`));
    return parsed.ok && parsed.value.startsHere;
  };
  const early = "state='paused' reason='starting up' pid='7'";
  for (const [head, async, isStart] of [
    [early, 'start', true],
    ["state='running' reason='booted' pid='7'", 'start', true],
    ["state='running' reason='booted' pid='7'", '', true],
    ["state='paused' reason='migration' pid='7'", 'start', true], // from a file
    ["state='running' reason='restored' pid='7'", '', true],
    [early, 'migration in', false],
    ["state='paused' reason='migration' pid='7'", 'migration in', false],
    ["state='running' reason='migrated' pid='7'", 'migration in', false],
    ["state='running' reason='migrated' pid='7'", '', false],
    ["state='running' reason='unpaused' pid='7'", '', false],
    ["state='paused' reason='user' pid='7'", '', false],
  ] as const) {
    assert.equal(startsHere(head, async), isStart, `${head} ${async}`);
  }
});

test('a start, a run, and a migration from its first word to its last', () => {
  const job = (async: string, phase: string) =>
    `<job type='none' async='${async}' phase='${phase}' flags='0x301' asyncStarted='1796017677949'/>`;
  const starting = "state='paused' reason='starting up' pid='0'";
  const runs = "state='running' reason='booted' pid='17938'";
  const start = "<job type='none' async='start' flags='0x0' asyncStarted='1796017676043'/>";
  assert.deepEqual(said(status(starting, start)), ['g', 1, null, false, null]);
  assert.deepEqual(said(status(runs)), ['g', 1, 17938, true, null]);
  const out = job('migration out', 'begin3');
  assert.deepEqual(said(status(runs, out)), ['g', 1, 17938, true, 'out']);
  const paused = "state='paused' reason='migration' pid='17938'";
  const confirm = job('migration out', 'confirm3');
  assert.deepEqual(said(status(paused, confirm)), ['g', 1, 17938, false, 'out']);
  const prepare = job('migration in', 'prepare');
  assert.deepEqual(said(status(starting, prepare)), ['g', 1, null, false, 'in']);
  const migrated = "state='running' reason='migrated' pid='18395'";
  assert.deepEqual(
    said(status(migrated, job('migration in', 'finish3')))?.toString(),
    'g,1,18395,true,in',
  );
  assert.deepEqual(said(status(migrated)), ['g', 1, 18395, true, null]);
});

test('other jobs are no migration, and other files are refused', () => {
  for (const async of ['dump', 'save', 'snapshot', 'backup', 'constructor']) {
    const job = `<job type='none' async='${async}'/>`;
    assert.deepEqual(said(status("state='running' pid='7'", job)), ['g', 1, 7, true, null]);
  }
  assert.match(`${said('<domstatus')}`, /^the status file cannot be read: /);
  assert.match(`${said(DOMAIN)}`, /^the file has no status of a domain/);
  assert.match(`${said("<domstatus state='running'/>")}`, /describes no domain/);
});
