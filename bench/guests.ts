import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ALL_OURS, Rig } from '../src/rig/rig.ts';
import { GuardedHost, NbdServer } from '../test/interop/guard-host.ts';
import { median } from './statistics.ts';

const STARTS = 8;
const UUID = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';

/**
 * What the guard costs a guest: its starts and ends by a real libvirtd, with the hook and without
 * it, in turns. The lease is there already, as of a guest that has run before.
 */
export async function guests(rounds: number): Promise<void> {
  const rig = await Rig.create({ hosts: [ALL_OURS], bin: resolve('bin') });
  const { dir } = rig;
  const storage = NbdServer.start(dir, 1);
  try {
    const leases = join(dir, 'leases');
    mkdirSync(leases);
    await rig.host(1).startSanlock();
    const host = await GuardedHost.start(rig.host(1), { dir, leases, ioTimeoutS: 10 });
    await host.define({ name: 'web', uuid: UUID, disks: [storage.disk(0)] });
    await startAndStop(host); // makes the lease
    const times = { guard: new Times(), absent: new Times() };
    for (let n = 0; n < rounds * STARTS; n++) {
      for (const what of ['guard', 'absent'] as const) {
        host.setHook(what);
        times[what].note(await startAndStop(host));
      }
    }
    for (const [what, of] of [
      ['start', 'startMs'],
      ['destroy', 'stopMs'],
    ] as const) {
      const [guarded, plain] = [times.guard.median(of), times.absent.median(of)];
      const cost = `${Math.round(guarded - plain)} ms`;
      const both = `${Math.round(guarded)} / ${Math.round(plain)} ms`;
      process.stdout.write(
        `virsh ${what}: ${both} with / without the guard, which costs ${cost}\n`,
      );
    }
  } finally {
    storage.close();
    await rig.close();
  }
}

interface Taken {
  readonly startMs: number;
  readonly stopMs: number;
}

class Times {
  readonly #taken: Taken[] = [];

  note(taken: Taken): void {
    this.#taken.push(taken);
  }

  median(of: keyof Taken): number {
    return median(this.#taken.map((taken) => taken[of]));
  }
}

async function startAndStop({ libvirt }: GuardedHost): Promise<Taken> {
  const started = await libvirt.virsh('start', 'web');
  if (started.code !== 0) throw new Error(started.stderr);
  const stopped = await libvirt.virsh('destroy', 'web');
  return { startMs: started.ms, stopMs: stopped.ms };
}
