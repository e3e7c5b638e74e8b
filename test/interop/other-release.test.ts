import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { MIB } from '../../src/base/units.ts';
import { until } from '../../src/rig/run.ts';
import {
  clientCommand,
  hold,
  lastRenewalS,
  makeArea,
  SANLOCK,
  startDaemon,
  whyNot,
} from './sanlock-daemons.ts';

/** Another release is installed in the place of the one that a daemon was started from. */
const ROOT = resolve(process.env['HOLDFAST_ROOT'] ?? '.');
const missing = whyNot('ours');
const where = missing === null ? { timeout: 300_000 } : { skip: missing };
const BUILD = /BUILD_ID = false \? "sources" : "([0-9a-f]{16})"/;
const TIMEOUT = ['-o', '2'];

/** A copy of what npm installs, which can be exchanged. */
class Installation {
  readonly directory = mkdtempSync('/var/tmp/holdfast-release-');

  constructor() {
    for (const folder of ['bin', 'dist']) mkdirSync(join(this.directory, folder));
    cpSync(SANLOCK.ours, this.sanlock);
    for (const name of programs())
      cpSync(join(ROOT, 'dist', name), join(this.directory, 'dist', name));
    symlinkSync(join(ROOT, 'node_modules'), join(this.directory, 'node_modules'));
  }

  get sanlock(): string {
    return join(this.directory, 'bin/sanlock');
  }

  /** As npm does: the new files are written elsewhere, and the folders exchanged. */
  async exchange(): Promise<void> {
    const next = join(this.directory, 'next');
    mkdirSync(next);
    for (const name of programs()) {
      const text = readFileSync(join(ROOT, 'dist', name), 'utf8');
      const other = text.replace(BUILD, 'BUILD_ID = false ? "sources" : "0123456789abcdef"');
      await writeFile(join(next, name), other);
    }
    await rename(join(this.directory, 'dist'), join(this.directory, 'before'));
    await rename(next, join(this.directory, 'dist'));
    await rm(join(this.directory, 'before'), { recursive: true });
  }

  remove(): Promise<void> {
    return rm(this.directory, { recursive: true, force: true });
  }
}

function programs(): readonly string[] {
  return readdirSync(join(ROOT, 'dist')).filter((name) => name.endsWith('.cjs'));
}

test(
  'no lease process of another release serves a daemon; after a restart it does',
  where,
  async () => {
    assert.match(readFileSync(join(ROOT, 'dist/lease-process.cjs'), 'utf8'), BUILD);
    const release = new Installation();
    const options = { hostName: 'one', program: release.sanlock };
    let daemon = await startDaemon('ours', options);
    const { directory } = daemon;
    const areas = ['a', 'b'].map((name) => makeArea(join(directory, name), 4 * MIB));
    const [a = '', b = ''] = areas;
    const sanlock = (...words: readonly string[]) => clientCommand(daemon, words);
    const must = async (...words: readonly string[]) => {
      const ran = await sanlock(...words);
      assert.equal(
        ran.status,
        0,
        `${words.join(' ')}: ${ran.stdout}${ran.stderr}\n${daemon.log()}`,
      );
    };
    const children = [];
    try {
      await must('init', '-s', `A:0:${a}:0`, ...TIMEOUT);
      await must('init', '-s', `B:0:${b}:0`, ...TIMEOUT);
      for (const offset of ['1M', '2M']) await must('init', '-r', `A:R${offset}:${a}:${offset}`);
      await must('add_lockspace', '-s', `A:1:${a}:0`, ...TIMEOUT);
      children.push(await hold(daemon, 'ours', `A:R1M:${a}:1M`));

      await release.exchange();
      const refused = await sanlock('add_lockspace', '-s', `B:1:${b}:0`, ...TIMEOUT);
      assert.equal(refused.status, 1, refused.stdout);
      await until('the reason', () => daemon.log().includes('leaseProcess.otherRelease'), {
        withinMs: 20_000,
      });
      const renewedS = lastRenewalS(a, 1);
      const isRenewed = () => lastRenewalS(a, 1) > renewedS;
      await until('a renewal by the old release', isRenewed, { withinMs: 30_000 });
      children.push(await hold(daemon, 'ours', `A:R2M:${a}:2M`));

      daemon.process.kill('SIGKILL');
      await until('its end', () => daemon.process.signalCode !== null, { withinMs: 20_000 });
      daemon = await startDaemon('ours', { ...options, directory });
      const isBack = () => daemon.log().includes('lockspace.handedOver');
      await until('the lockspace under the new release', isBack, { withinMs: 60_000 });
      await must('add_lockspace', '-s', `B:1:${b}:0`, ...TIMEOUT);
      assert.doesNotMatch(daemon.log(), /otherRelease/);
    } finally {
      for (const child of children) child.kill('SIGKILL');
      await daemon.stop();
      await rm(directory, { recursive: true, force: true }).catch(() => {});
      await release.remove();
    }
  },
);
