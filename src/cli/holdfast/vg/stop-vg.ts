import { fail, ok, type Result } from '../../../base/result.ts';
import { SECOND_MS } from '../../../base/units.ts';
import { until } from '../../observe/daemons.ts';
import { localPorts, seeLocalDaemons } from './local-daemons.ts';
import { lvm, lvmWords } from './lvm.ts';
import { readHostLease, type SharedVg } from './shared-vgs.ts';
import { LOOK_MS, MINUTE_MS } from './times.ts';

/** sanlock ends its lease process, and writes that the host id is free. */
const LEFT_WITHIN_MS = 60 * SECOND_MS;

/** Stops a VG, and looks: sanlock has left its lockspace, and the host id is free on the disk. */
export async function stopVg(
  name: string,
  shared: readonly SharedVg[],
  progress: (text: string) => void,
): Promise<Result<string, string>> {
  const ports = localPorts();
  const before = await lockspaceOf(name);
  const end = await lvm(['vgchange', '--lock-stop', name], 3 * MINUTE_MS);
  progress(`VG ${name}: sanlock leaves its lockspace`);
  const isLeft = async () => (await lockspaceOf(name)) === null;
  const within = { ms: end.status === 0 ? LEFT_WITHIN_MS : LOOK_MS, everyMs: LOOK_MS };
  if (!(await until(ports.clock, isLeft, within))) {
    return fail(end.status === 0 ? 'sanlock has not left its lockspace' : lvmWords(end));
  }
  const vg = shared.find((one) => one.name === name);
  const isKnown = vg !== undefined && before !== null;
  const lease = isKnown ? await readHostLease(vg, before.hostId) : null;
  const isFree = lease?.ok === true && (lease.value?.timestampS ?? 0) === 0;
  const id = before === null ? '' : `, and host id ${before.hostId} is free`;
  return ok(`VG ${name} is stopped${isFree ? id : ''}`);
}

async function lockspaceOf(vg: string) {
  const { sanlock } = await seeLocalDaemons(localPorts());
  const name = `lvm_${vg}`.slice(0, 48);
  return sanlock?.lockspaces.find((one) => one.name === name) ?? null;
}
