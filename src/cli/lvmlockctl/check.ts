import { textToName } from '../../base/bytes.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import type { LvmlockdEndpoint } from '../../client/lvmlockd.ts';
import { LvmlockdSession } from '../../client/lvmlockd-session.ts';
import { adviceText, findingText } from '../../inspect/leases/vg-lease-text.ts';
import { compareLeases, type LeaseFinding } from '../../inspect/leases/vg-leases.ts';
import { formatRequest, numberOf } from '../../wire/lvmlockd/libdaemon.ts';
import { resultName } from '../../wire/lvmlockd/numbers.ts';
import { mend } from './check-mend.ts';
import { readLeases } from './check-read.ts';

/**
 * lvmlockctl --check: compares the leases of a VG with its metadata, under the VG lock, and with
 * --repair has lvmlockd mend what is safe. Without --repair nothing is written.
 */

export interface CheckPorts {
  readonly endpoint: LvmlockdEndpoint;
  readonly pid: number;
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
}

/** Of findings that are said a second time. */
const MAX_SAID = 20;

/** lvmlockd tries for 5 s to get a lock that another host has. */
const LOCK_MS = 60_000;

/** @returns the exit status: 0 when leases and metadata agree, or do now */
export async function check(vgName: string, repair: boolean, ports: CheckPorts): Promise<number> {
  const locked = await lockVg(vgName, repair, ports);
  if (!locked.ok) {
    ports.complain(`lvmlockctl: ${locked.error}`);
    if (repair) return 1;
    ports.complain('lvmlockctl: without the VG lock a command under way may look like a fault');
  }
  const session = locked.ok ? locked.value : null;
  try {
    return await compare(vgName, session, { ...ports, repair });
  } finally {
    session?.close(); // which ends its VG lock
  }
}

async function compare(
  vgName: string,
  session: LvmlockdSession | null,
  ports: CheckPorts & { readonly repair: boolean },
): Promise<number> {
  const read = await readLeases(vgName);
  if (!read.ok) {
    ports.complain(`lvmlockctl: ${read.error}`);
    return 1;
  }
  const vg = read.value;
  const findings = compareLeases(vg);
  const say = (finding: LeaseFinding, more: string) =>
    ports.print(`${findingText(finding, vg)}${more === '' ? '' : `; ${more}`}\n`);
  let left = 0;
  for (const finding of findings) {
    const { mending } = finding;
    if (session === null || !ports.repair || mending === null) {
      left += 1;
      const isForRepair = mending !== null && !ports.repair;
      say(finding, isForRepair ? '--repair can mend it' : adviceText(finding));
      continue;
    }
    const place = { session, vgName, areaBytes: vg.areaBytes, pid: ports.pid };
    const mended = await mend(place, mending);
    if (!mended.isDone) left += 1;
    say(finding, mended.text);
  }
  // What lvmlockd says that it has mended must be so on the device.
  const again = left < findings.length ? await readLeases(vgName) : read;
  if (!again.ok) {
    ports.complain(`lvmlockctl: ${again.error}`);
    return 1;
  }
  if (again !== read) {
    const still = compareLeases(again.value);
    for (const finding of still.slice(0, still.length > left ? MAX_SAID : 0)) {
      ports.print(`still: ${findingText(finding, again.value)}\n`);
    }
    left = still.length;
  }
  const used = again.value.slots.filter(({ holds }) => holds.kind === 'lease').length;
  const what = findings.length === 0 ? 'agree' : `${findings.length} findings, ${left} left`;
  ports.print(`VG ${vgName}: ${vg.slots.length} slots, ${used} in use: ${what}\n`);
  return left === 0 ? 0 : 1;
}

export async function lockVg(
  vgName: string,
  repair: boolean,
  { endpoint, pid }: CheckPorts,
): Promise<Result<LvmlockdSession, string>> {
  const session = await LvmlockdSession.open(endpoint);
  if (!session.ok) return session;
  const request = formatRequest('lock_vg', [
    ['cmd', 'lvmlockctl'],
    ['pid', pid],
    ['mode', repair ? 'ex' : 'sh'],
    ['opts', repair ? 'repair' : 'none'],
    ['vg_name', textToName(vgName)],
  ]);
  const reply = await session.value.ask(request, LOCK_MS);
  const result = reply.ok ? numberOf(reply.value, 'op_result', -1) : 0;
  if (reply.ok && result === 0) return ok(session.value);
  session.value.close();
  const reason = reply.ok ? `${resultName(result)} (${result})` : reply.error;
  return fail(`the lock of VG ${vgName} cannot be had: ${reason}`);
}
