import type { ManagedLockType } from '../../wire/lvmlockd/requests.ts';

/**
 * The facts about a lock manager by which the core decides. The core asks for a trait, never for a
 * lock type.
 */
export interface ManagerTraits {
  /**
   * Where the global lock lives. `inVg`: in the lockspace of one VG, which is made with it, and
   * where enable_gl and disable_gl move it. `ownLockspace`: in a lockspace of its own, joined with
   * the first VG and left with the last. `ownDrives`: on drives set apart for it.
   */
  readonly globalLock: 'inVg' | 'ownLockspace' | 'ownDrives';
  /** Each LV has a lease on disk. Without, init_lv, find_free_lock and free_lv do nothing. */
  readonly lvLeases: boolean;
  /** A VG may get another name; the leases that carry its name are written anew. */
  readonly renamesVgs: boolean;
  /** Locks outlive an lvmlockd that was killed, and the next one adopts them. */
  readonly adoptsLocks: boolean;
  /** It sends SIGTERM to the holders of locks in a lockspace that it loses or removes. */
  readonly sendsSigterm: boolean;
  /** So many bytes of VG names are compared: two VGs that agree in them mean one lockspace. */
  readonly vgNameBytes: number;
}

/** Of all three, built or not: a request is refused by the traits of the lock type it names. */
export const TRAITS: Readonly<Record<ManagedLockType, ManagerTraits>> = {
  /** Leases on a small LV of each VG, kept by a daemon (spec 31 §1–§4). */
  sanlock: {
    globalLock: 'inVg',
    lvLeases: true,
    renamesVgs: true,
    adoptsLocks: true,
    sendsSigterm: true,
    vgNameBytes: 44, // 48 of a lockspace's name, without `lvm_`
  },
  /** Locks of the kernel's distributed lock manager, with nothing on disk (spec 31 §5, 40 §7). */
  dlm: {
    globalLock: 'ownLockspace',
    lvLeases: false,
    renamesVgs: true, // nothing carries the name
    adoptsLocks: true,
    sendsSigterm: false,
    vgNameBytes: 60, // 64 without `lvm_`
  },
  /** Mutexes inside the drives, kept by a daemon (spec 31 §6, 50). */
  idm: {
    globalLock: 'ownDrives',
    lvLeases: false,
    renamesVgs: false,
    adoptsLocks: false, // the daemon unlocks when the connection of lvmlockd ends
    sendsSigterm: false, // it runs the kill path instead
    vgNameBytes: 60, // it knows VGs by uuid; the limit is that of a lockspace's name in lvmlockd
  },
};
