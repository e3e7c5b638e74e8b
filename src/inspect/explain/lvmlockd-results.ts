import { LD_RESULT } from '../../wire/lvmlockd/numbers.ts';
import type { Explanation } from './sanlock-results.ts';

const LOG: Explanation['todo'] = 'see the log of lvmlockd: lvmlockctl -d, or the journal';
const STORAGE: Explanation['todo'] =
  'check the path to the disk of the leases, and the log of sanlock';

/** Every number that lvmlockd answers, as lvm prints it behind "error" (spec 30 §3.2). */
const EXPLANATIONS: Readonly<Record<keyof typeof LD_RESULT, Explanation>> = {
  OK: { found: 'it was done', todo: 'nothing is left to be done' },
  REFUSED: {
    found: 'the lock manager refused it, for instance a lease that does not exist',
    todo: LOG,
  },
  NOENT: { found: 'there is no such lock here', todo: 'nothing is left to be unlocked' },
  AGAIN: {
    found: 'another host holds the lock, or another command of this one',
    todo: 'see who: holdfast who VG/LV; deactivate it there, or wait until that host is dead',
  },
  NOMEM: { found: 'lvmlockd has no memory left', todo: LOG },
  BUSY: {
    found: 'LVs are locked here, or other hosts have the VG started',
    todo: 'deactivate the LVs here; for vgremove and vgrename stop the VG on all other hosts',
  },
  EXIST: {
    found: 'the VG is started already, or the LV is locked here in another mode',
    todo: 'lvmlockctl -i shows the locks of this host',
  },
  INVAL: { found: 'lvmlockd cannot do that for this type of lock', todo: LOG },
  NOLCK: {
    found: 'no lock manager runs here',
    todo: 'start sanlock (or dlm), then try again',
  },
  NOTEMPTY: {
    found: 'LVs of the VG are locked',
    todo: 'deactivate all LVs of the VG on all hosts first',
  },
  XFULL: {
    found: 'more than one lock manager runs here',
    todo: 'name the one you mean: vgcreate --lock-type sanlock',
  },
  MSGSIZE: {
    found: 'the LV of the leases has no room for another lease, or ends before this one',
    todo: 'lvm extends it by itself; if it does not, see global/sanlock_lv_extend in lvm.conf',
  },
  PROTONOSUPPORT: {
    found: 'this lvmlockd has no such lock manager',
    todo: 'use an lvmlockd that has it, or another lock type',
  },
  OPNOTSUPP: { found: 'this lvmlockd does not know that request', todo: 'use one that lvm fits' },
  ALREADY: { found: 'it is locked so already', todo: 'nothing is left to be done' },
  STALE: { found: 'the VG is just being stopped', todo: 'start it again when that is over' },
  CANCELED: { found: 'it was given up, as the VG is being stopped', todo: 'try again' },
  ENOLS: {
    found: 'the VG is not started on this host',
    todo: 'start it: vgchange --lock-start VG',
  },
  ESTARTING: {
    found: 'the VG is still being started',
    todo: 'wait: vgchange --lock-start VG returns when it is; with sanlock up to 3 minutes',
  },
  EARGS: {
    found: 'the lock arguments of VG or LV are missing or wrong, or its leases cannot be read',
    todo: 'see vgs -o+lockargs, and whether the LV lvmlock of the VG is there',
  },
  EHOSTID: {
    found: 'this host has no host id, one above 2000, or one that another host uses',
    todo: 'set local/host_id in lvmlocal.conf to a number that no other host has',
  },
  EMANAGER: {
    found: 'the lock manager does not run here, or refused lvmlockd',
    todo: 'start it: systemctl start sanlock wdmd; then see its log',
  },
  EPREPARE: { found: 'the start of the VG could not be prepared', todo: LOG },
  ELOCKD: {
    found: 'lvmlockd did not answer',
    todo: 'start it: systemctl start lvmlockd; and see use_lvmlockd in lvm.conf',
  },
  EVGKILLED: {
    found: 'this host lost the storage of the leases of the VG',
    todo: 'when it answers again: vgchange --lock-start VG',
  },
  ELOCKIO: { found: 'the leases cannot be read or written', todo: STORAGE },
  EREMOVED: { found: 'another host has removed the VG', todo: 'vgscan, and forget the VG' },
  EDEVOPEN: {
    found: 'sanlock may not open the device of the leases',
    todo: 'let the user of sanlock open it: by group disk, or run sanlock as root',
  },
  ELMERR: {
    found: 'the lock manager failed in a way that lvm has no number for',
    todo: 'the logs of lvmlockd and sanlock have the number of sanlock: holdfast explain it',
  },
  EORPHAN: {
    found: 'an earlier lvmlockd of this host left the lock, and it must be adopted',
    todo: 'start lvmlockd with --adopt 1',
  },
  EADOPT_NONE: { found: 'there is no lock to be adopted', todo: 'start the VG without adoption' },
  EADOPT_RETRY: { found: 'the lock to be adopted has the other mode', todo: 'lvm tries that one' },
  EIOTIMEOUT: { found: 'the storage of the leases did not answer in time', todo: STORAGE },
  ELOCKREPAIR: {
    found: 'the lease on the disk is damaged',
    todo: 'see it: holdfast who VG/LV; mend it: lvmlockctl --check, or holdfast repair',
  },
};

const BY_CODE: ReadonlyMap<number, keyof typeof LD_RESULT> = new Map(
  (Object.keys(LD_RESULT) as (keyof typeof LD_RESULT)[]).map((name) => [LD_RESULT[name], name]),
);

/** null: lvmlockd answers no such number. */
export function lvmlockdResult(
  code: number,
): (Explanation & { readonly name: keyof typeof LD_RESULT }) | null {
  const name = BY_CODE.get(code);
  return name === undefined ? null : { name, ...EXPLANATIONS[name] };
}
