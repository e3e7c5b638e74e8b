import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { type Maker, makeArea, run, SANLOCK, whyNot } from './sanlock-daemons.ts';
import { withoutTimes } from './shown-records.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? process.cwd();
const TRANSCRIPT = `${ROOT}/test/vectors/sanlock-cli/direct-transcript.txt`;
const RECORDED_FOLDER = '/var/tmp/t';

interface Step {
  readonly typed: string;
  readonly printed: string;
  readonly status: number;
}

/** What ours prints instead, on purpose. */
const DIFFERS: Readonly<Record<string, Pick<Step, 'printed' | 'status'>>> = {
  // The original says 0 and writes nothing; ours releases what -i and -g name, and only that.
  'sanlock direct release -r LS:RA:/var/tmp/t/f:0': { printed: 'release done -251\n', status: 1 },
  // The original finds sizes in a lease only; the index alone is enough for ours.
  'sanlock direct dump /var/tmp/t/f:4M:1M -f 1': {
    printed: [
      `  offset ${'lockspace'.padStart(36)} ${'resource'.padStart(48)}  timestamp  own  gen lver/req/mode`,
      `04194304 ${'LS'.padStart(36)} rindex_header 0x1 512 4096 4194304`,
      `04194816 ${'LS'.padStart(36)} rentry zz 6291456\n`,
    ].join('\n'),
    status: 0,
  },
};

/** `$ command`, what it printed (both streams), `[exit n]`. */
function recordedSteps(): readonly Step[] {
  const steps: Step[] = [];
  const step = /^\$ (.*)\n((?:.*\n)*?)\[exit (\d+)\]\n/gm;
  for (const [, typed = '', printed = '', status] of readFileSync(TRANSCRIPT, 'utf8').matchAll(
    step,
  )) {
    steps.push({ typed, printed, status: Number(status) });
  }
  return steps;
}

/** The files of the recording: 8 MiB of leases, 1 MiB of lockspace, and no daemon serves a socket. */
async function replay(maker: Maker): Promise<void> {
  const folder = mkdtempSync('/var/tmp/holdfast-transcript-');
  makeArea(`${folder}/f`, 8 * MIB);
  makeArea(`${folder}/l`, MIB);
  const env = { ...process.env, SANLOCK_RUN_DIR: `${folder}/run`, SANLOCK_PRIVILEGED: '0' };
  const steps = recordedSteps();
  try {
    assert.equal(steps.length, 40, 'every command of the transcript is there');
    for (const step of steps) {
      const { typed } = step;
      const { printed, status } = (maker === 'ours' ? DIFFERS[typed] : undefined) ?? step;
      const words = typed.replaceAll(RECORDED_FOLDER, folder).split(' ').slice(1);
      const ran = await run(SANLOCK[maker], words, { env });
      // The original says everything on stdout; the sentences that ours adds are on stderr.
      const printedNow = maker === 'c' ? ran.stderr + ran.stdout : ran.stdout;
      const found = { status: ran.status, printed: withoutTimes(printedNow, folder) };
      const wanted = { status, printed: withoutTimes(printed, RECORDED_FOLDER) };
      assert.deepEqual(found, wanted, typed);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

for (const maker of ['c', 'ours'] as const) {
  test(`the recorded transcript of sanlock direct, typed to ${maker}`, async (t) => {
    const reason = whyNot(maker);
    if (reason !== null) return t.skip(reason);
    await replay(maker);
  });
}

/** Actions and options of a usage text, without its words: the words are each maker's own. */
function offered(usage: string): readonly string[] {
  const actions = [...usage.matchAll(/^sanlock (daemon|client|direct) (\w+)/gm)];
  const daemonOptions = usage.matchAll(/^ {2}(-\w)\b/gm);
  return [...actions.map((found) => found[0]), ...[...daemonOptions].map(([, flag]) => `${flag}`)]
    .sort()
    .filter((one, index, all) => one !== all[index - 1]);
}

test('sanlock help names the actions and options of the original', async (t) => {
  const reason = whyNot('c', 'ours');
  if (reason !== null) return t.skip(reason);
  const [theirs, ours] = await Promise.all(
    (['c', 'ours'] as const).map((maker) => run(SANLOCK[maker], ['help'], { env: process.env })),
  );
  assert.ok(theirs !== undefined && ours !== undefined);
  const wanted = offered(theirs.stdout + theirs.stderr);
  assert.ok(wanted.length > 30, `only ${wanted.length} actions and options were recognised`);
  const found = offered(ours.stdout + ours.stderr);
  assert.deepEqual(
    wanted.filter((one) => !found.includes(one)),
    [],
    'everything the original names',
  );
});
