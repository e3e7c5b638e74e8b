import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { MIB } from '../../src/base/units.ts';
import type { SanlockClient } from '../../src/client/sanlock.ts';
import { errnoNameOf } from '../../src/platform/system-error.ts';
import { clientOf, type RegisteredProcess, registerProcess } from './sanlock-clients.ts';
import {
  type Maker,
  makeArea,
  removeRunFolder,
  startDaemon,
  type TestDaemon,
} from './sanlock-daemons.ts';

/**
 * Two daemons on one storage. The recordings were made with files under a folder whose name has
 * ten letters; so has ours, a link, and paths can be exchanged byte for byte.
 */
export class ReplayHarness {
  readonly folder: string;
  readonly host1: TestDaemon;
  readonly host2: TestDaemon;
  readonly client1: SanlockClient;
  readonly client2: SanlockClient;
  readonly #real: string;
  readonly #processes: ChildProcess[] = [];

  private constructor(
    places: { readonly folder: string; readonly real: string },
    hosts: { readonly host1: TestDaemon; readonly host2: TestDaemon },
  ) {
    this.folder = places.folder;
    this.#real = places.real;
    this.host1 = hosts.host1;
    this.host2 = hosts.host2;
    this.client1 = clientOf(hosts.host1);
    this.client2 = clientOf(hosts.host2);
  }

  /** host1 is the one under test; host2 is a C daemon, as when the recordings were made. */
  static async start(maker: Maker): Promise<ReplayHarness> {
    const real = mkdtempSync('/var/tmp/holdfast-replay-');
    const folder = shortLink(real);
    for (const name of ['ls', 'ls2', 'ls3', 'res', 'rx']) makeArea(`${real}/${name}`, 16 * MIB);
    const extra = ['-l', '0', '-h', '0'];
    for (const run of ['run1', 'run2']) mkdirSync(`${real}/${run}`);
    const host1 = await startDaemon(maker, {
      hostName: 'host1',
      directory: real,
      runName: 'run1',
      extra,
    });
    const host2 = await startDaemon('c', {
      hostName: 'host2',
      directory: real,
      runName: 'run2',
      extra,
    });
    return new ReplayHarness({ folder, real }, { host1, host2 });
  }

  /** A process registered with a daemon, doing nothing. */
  async register(host: TestDaemon): Promise<RegisteredProcess> {
    const child = await registerProcess(host);
    this.#processes.push(child);
    return child;
  }

  async stop(): Promise<void> {
    for (const child of this.#processes) child.kill('SIGKILL');
    await this.host1.stop();
    await this.host2.stop();
    rmSync(this.folder, { force: true });
    await removeRunFolder(this.#real);
  }
}

/** /var/tmp/<letter>, as long as /srv/sanlk. */
function shortLink(target: string): string {
  for (const letter of 'abcdefghijklmnopqrstuvwxyz0123456789') {
    const link = `/var/tmp/${letter}`;
    try {
      symlinkSync(target, link);
      return link;
    } catch (error) {
      // Of another run, or left over from one: then it may point nowhere.
      if (errnoNameOf(error) !== 'EEXIST') throw error;
    }
  }
  throw new Error('every one-letter name in /var/tmp is taken');
}
