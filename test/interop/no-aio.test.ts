import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { ERRNO } from '../../src/base/errno.ts';
import { MIB } from '../../src/base/units.ts';
import { until } from '../../src/rig/run.ts';
import { writeLockspace, writeResource } from '../../src/wire/sanlock/area-calls.ts';
import { addLockspace, renewalHistory } from '../../src/wire/sanlock/daemon-calls.ts';
import { acquire, release } from '../../src/wire/sanlock/lease-calls.ts';
import { noHungFile, startHungFile } from './hung-file.ts';
import { clientOf, lockspaceAt, must } from './sanlock-clients.ts';
import { makeArea, startDaemon, whyNot } from './sanlock-daemons.ts';

const T_S = 2;
const SCRIPT = join(process.env['HOLDFAST_ROOT'] ?? process.cwd(), 'test/interop/no-aio.py');

function whyNoSandbox(): string | null {
  const tried = spawnSync('python3', [SCRIPT, `${ERRNO.EAGAIN}`, 'true']);
  return tried.status === 0 ? null : 'no sandbox for system calls here';
}

const where = { skip: whyNot('ours') ?? noHungFile() ?? whyNoSandbox() ?? false };

// EAGAIN: fs.aio-max-nr is used up. ENOSYS: the kernel has none, or a sandbox says so.
for (const errno of [ERRNO.EAGAIN, ERRNO.ENOSYS]) {
  test(
    `io_setup answers ${errno}: leases all the same, also beside a hung device`,
    where,
    async () => {
      const through = ['python3', SCRIPT, `${errno}`];
      const file = await startHungFile(8 * MIB);
      const daemon = await startDaemon('ours', { hostName: 'one', through });
      try {
        const client = clientOf(daemon);
        const path = makeArea(`${daemon.directory}/a`, 4 * MIB);
        const at = (name: string, place: string) => ({
          ...{ lockspaceName: 'LS', name, lver: 0n, flags: 0 },
          disks: [{ path: place, offset: BigInt(MIB) }],
        });
        const lockspace = lockspaceAt(path);
        await must(client, writeLockspace(lockspace, { ioTimeoutS: T_S }));
        await must(client, writeResource(at('R', path)));
        await must(client, writeResource(at('H', file.path)));
        await must(client, addLockspace(lockspace, { ioTimeoutS: T_S }));
        assert.match(daemon.log(), /aio\.refused call=io_setup .*setting=fs\.aio-max-nr/);
        const session = await client.registerProcess();
        assert.ok(session.ok);
        const call = session.value;
        assert.ok((await call.call(acquire([at('H', file.path)]))).ok);
        assert.ok((await call.call(release([at('H', file.path)]))).ok);
        file.hang();
        for (let n = 0; n < 3; n++) {
          const answer = await call.call(acquire([at('H', file.path)]));
          assert.ok(!answer.ok && answer.error.message.includes('-202'), 'a timeout of its read');
        }
        const renewals = async () => (await must(client, renewalHistory('LS'))).records.length;
        const before = await renewals();
        const renewed = async () => (await renewals()) >= before + 2;
        await until('two renewals', renewed, { withinMs: 60_000 });
        assert.ok((await call.call(acquire([at('R', path)]))).ok, daemon.log().slice(-2000));
        call.close();
      } finally {
        file.close();
        await daemon.stop();
      }
    },
  );
}
