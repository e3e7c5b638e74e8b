import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import type { Daemon, DaemonKind } from './daemon.ts';
import { measured, OPERATIONS } from './operations.ts';
import { type Collections, PROBE_DIRECTORY, type ProbeRequest } from './probe-requests.ts';
import type { Row, Storage } from './rows.ts';
import { processesOf, type Role } from './usage.ts';

/** Ours with the probe in front and lease processes. */
export class Probes {
  readonly #directory = mkdtempSync('/tmp/holdfast-bench-probe-');

  /** The same daemon, with the probe loaded before it. */
  in(kind: DaemonKind): DaemonKind {
    const [node = '', ...args] = kind.command;
    const probe = join(dirname(process.argv[1] ?? ''), 'probe.cjs');
    const command = [node, '--require', probe, ...args];
    return { ...kind, command, env: { [PROBE_DIRECTORY]: this.#directory } };
  }

  /** What each process answers that has a probe. */
  async ask<T>(daemon: Daemon, request: ProbeRequest): Promise<readonly (readonly [Role, T])[]> {
    const answers: (readonly [Role, T])[] = [];
    for (const { role, pid } of processesOf(daemon)) {
      const path = join(this.#directory, `${pid}`);
      if (existsSync(path)) answers.push([role, (await ask(path, request)) as T]);
    }
    return answers;
  }

  close(): void {
    rmSync(this.#directory, { recursive: true });
  }
}

function ask(path: string, request: ProbeRequest): Promise<unknown> {
  return new Promise((done, fail) => {
    const parts: Buffer[] = [];
    const socket = connect(path);
    socket.on('data', (part) => parts.push(part));
    socket.once('error', fail);
    socket.once('close', () => done(JSON.parse(Buffer.concat(parts).toString())));
    socket.write(request);
  });
}

/** Collections, and bytes allocated, of an operation. */
export async function garbage(
  probes: Probes,
  target: { readonly daemon: Daemon; readonly storage: Storage },
  count: number,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const operation of OPERATIONS) {
    const found = await measured(target, { operation, count }, async (work) => {
      await probes.ask(target.daemon, 'collections begin');
      await work();
      return probes.ask<Collections>(target.daemon, 'collections end');
    });
    for (const [role, collected] of found) {
      const { name } = operation;
      rows.push(
        {
          name: `${name}: garbage, ${role}`,
          unit: 'KB',
          value: collected.allocatedBytes / count / 1000,
        },
        {
          name: `${name}: collections, ${role}`,
          unit: 'of 1000',
          value: (collected.count / count) * 1000,
        },
      );
    }
  }
  return rows;
}
