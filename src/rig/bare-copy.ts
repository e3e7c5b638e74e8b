import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bareFolder, type Release } from './bare-root.ts';
import { removeRoot } from './made-root.ts';
import { must, type Outcome, run } from './run.ts';

const PLACE = '/var/tmp/holdfast-bare-';
const RUN_MS = 240_000;
const SETTINGS = ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', 'LC_ALL=C.UTF-8'];
/** No daemon is started by a package: there is no machine around this root. */
const NO_DAEMONS = '#!/bin/sh\nexit 101\n';

/** A copy of a bare Debian, to install into. */
export class BareCopy {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(release: Release): Promise<BareCopy> {
    const folder = await mkdtemp(PLACE);
    await must('cp', ['-a', '--reflink=auto', `${bareFolder(release)}/.`, folder]);
    return new BareCopy(folder);
  }

  /** Packages start no daemons from here on. */
  async forbidDaemons(): Promise<void> {
    const path = join(this.folder, 'usr/sbin/policy-rc.d');
    await writeFile(path, NO_DAEMONS, { mode: 0o755 });
  }

  /** Has the file in /srv. */
  async give(file: string): Promise<void> {
    await must('cp', [file, join(this.folder, 'srv/')]);
  }

  /** Runs lines of sh as the administrator of it, in namespaces of their own. */
  run(script: string): Promise<Outcome> {
    const apart = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child'];
    const inside = ['chroot', this.folder, 'env', '-i', ...SETTINGS, 'sh', '-ec'];
    const mounted = `mount -t proc proc /proc; cd /srv; exec 2>&1 </dev/null\n${script}`;
    const words = ['--net', ...apart, ...inside, mounted];
    return run('unshare', words, { timeoutMs: RUN_MS });
  }

  /** The same; it must succeed. @returns what it printed */
  async must(script: string): Promise<string> {
    const { code, stdout, stderr } = await this.run(script);
    if (code === 0) return stdout.trim();
    throw new Error(`in ${this.folder}, ${script}\nended with ${code}:\n${stdout}${stderr}`);
  }

  async remove(): Promise<void> {
    await removeRoot(this.folder);
  }
}
