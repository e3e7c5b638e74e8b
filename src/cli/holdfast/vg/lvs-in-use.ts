import { fail, ok, type Result } from '../../../base/result.ts';
import type { LvInUse } from '../../../inspect/join/leave-plan.ts';
import { unbracketed } from '../../../inspect/snapshot/lvm-report.ts';
import { ProcDeviceUsers } from '../../../platform/device-users.ts';
import { askLvmlockdState } from '../../observe/ask.ts';
import { localPorts } from './local-daemons.ts';
import { lvmReport, type Row } from './lvm.ts';

/** LVs of some VGs that are active or locked on this host, and who uses them. */

const FIELDS = ['vg_name', 'lv_name', 'lv_uuid', 'lv_active', 'lv_role', 'lv_dm_path'];
const KERNEL = ['lv_kernel_major', 'lv_kernel_minor', 'lv_device_open'];
const MAX_USERS = 4;

/** @param vgs empty: all */
export async function lvsInUse(
  vgs: readonly string[],
): Promise<Result<readonly LvInUse[], string>> {
  const [rows, info] = await Promise.all([
    lvmReport('lvs', [...FIELDS, ...KERNEL], ['--all']),
    askLvmlockdState(localPorts(), 'lines'),
  ]);
  if (!rows.ok) return fail(rows.error);
  const locks = locksIn(info.ok ? info.value : '');
  const users = await usersOf(rows.value);
  return ok(
    rows.value.flatMap((row) => {
      const vg = row['vg_name'] ?? '';
      // The LV of the leases is active as long as its VG is started.
      const isOurs = row['lv_role']?.split(',').includes('lockd') ?? false;
      if (isOurs || (vgs.length > 0 && !vgs.includes(vg))) return [];
      const lock = locks.get(row['lv_uuid'] ?? '') ?? null;
      const isActive = row['lv_active'] === 'active';
      if (lock === null && !isActive) return [];
      const name = unbracketed(row['lv_name'] ?? '');
      // What lies within another LV is deactivated with that.
      if (lock === null && name !== row['lv_name']) return [];
      return { vg, name, lock, isActive, users: users.get(deviceOf(row)) ?? [] };
    }),
  );
}

/** Of `lvmlockctl -i`: `LK LV ex UUID`. */
function locksIn(info: string): ReadonlyMap<string, string> {
  const found = [...info.matchAll(/^LK LV (ex|sh) (\S+)/gm)];
  return new Map(found.map(([, mode = '', uuid = '']) => [uuid, mode]));
}

function deviceOf(row: Row): string {
  return `${row['lv_kernel_major']}:${row['lv_kernel_minor']}`;
}

/** By device number: `qemu (process 7: vg-lv)`. */
function usersOf(rows: readonly Row[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const active = rows.filter((row) => row['lv_active'] === 'active');
  const devices = active.map((row) => ({
    number: deviceOf(row),
    kernelName: `dm-${row['lv_kernel_minor']}`,
    name: (row['lv_dm_path'] ?? '').replace(/^\/dev\/mapper\//, ''),
  }));
  const finder = new ProcDeviceUsers(NO_LOG);
  return Promise.all(
    devices.map(
      (device) =>
        new Promise<readonly [string, readonly string[]]>((resolve) => {
          finder.find([device], (users) => {
            const texts = (users ?? []).map(
              ({ command, pid, uses }) => `${command} (process ${pid}: ${uses})`,
            );
            const more = texts.length > MAX_USERS ? [`${texts.length - MAX_USERS} more`] : [];
            resolve([device.number, [...texts.slice(0, MAX_USERS), ...more]]);
          });
        }),
    ),
  ).then((found) => new Map(found));
}

const NO_LOG = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };
