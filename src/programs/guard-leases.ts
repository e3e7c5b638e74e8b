import { unreachable } from '../base/assert.ts';
import { type ByteString, textToName } from '../base/bytes.ts';
import { ERRNO } from '../base/errno.ts';
import type { Result } from '../base/result.ts';
import { SECOND_MS } from '../base/units.ts';
import { callOnce, openLink, type SanlockEndpoint } from '../client/sanlock-link.ts';
import { decodeGuestValue, encodeGuestValue } from '../format/guest-value.ts';
import type { DiskLease } from '../guard/lease-names.ts';
import type {
  HostLife,
  LeaseEffect,
  LeaseReply,
  LeaseSteps,
  Lent,
  Mode,
  Seen,
} from '../guard/lease-steps.ts';
import { seenIn } from '../guard/seen.ts';
import type { Clock } from '../ports/clock.ts';
import { readResourceOwners } from '../wire/sanlock/area-calls.ts';
import type { SanlockCall } from '../wire/sanlock/call.ts';
import { getHosts, register, status } from '../wire/sanlock/daemon-calls.ts';
import type { SanlockFailure } from '../wire/sanlock/failure.ts';
import { acquire, convert, getLvb, release, setLvb } from '../wire/sanlock/lease-calls.ts';
import { RES_FLAGS } from '../wire/sanlock/socket.ts';
import type { Resource } from '../wire/sanlock/types.ts';

/** A lease file that hangs costs a hook no more. */
const DEADLINE_MS = 90 * SECOND_MS;
/** The value block is a sector; the smallest has room for all that it says. */
const VALUE_BYTES = 512;

/** For whom leases are asked. */
export interface KeptGuest {
  readonly uuid: string;
  readonly name: string;
  readonly keeperPid: number;
}

/** Makes lease files; the code as sanlock would answer (`guard-lease-files.ts`). */
export interface LeaseFiles {
  ensure(name: string, answer: (code: number) => void): void;
}

/** Where the leases of guests are. */
export interface LeasePlace {
  readonly lockspace: ByteString;
  readonly leaseDir: string;
}

export interface GuardLeasesParts extends LeasePlace {
  readonly clock: Clock;
  readonly sanlock: SanlockEndpoint;
  readonly files: LeaseFiles;
  readonly hostId: number;
}

/** The lease of that name, in a file of that name, at its beginning. */
export function leaseResource(
  { leaseDir, lockspace: lockspaceName }: LeasePlace,
  name: string,
  mode: Mode = 'exclusive',
): Resource {
  const shared = mode === 'shared' ? RES_FLAGS.SHARED : 0;
  const disks = [{ path: textToName(`${leaseDir}/${name}`), offset: 0n }];
  return { lockspaceName, name, lver: 0n, flags: shared | RES_FLAGS.PERSISTENT, disks };
}

/** Asks sanlock for the leases of guests: one call for each effect. */
export class GuardLeases {
  readonly #parts: GuardLeasesParts;

  constructor(parts: GuardLeasesParts) {
    this.#parts = parts;
  }

  /** Runs a procedure; each of its effects is answered once. */
  run<T>(guest: KeptGuest, steps: LeaseSteps<T>, done: (value: T) => void): void {
    const resume = (turn: IteratorResult<LeaseEffect, T>): void => {
      if (turn.done === true) done(turn.value);
      else this.#perform(guest, turn.value, answered);
    };
    const answered = (reply: Omit<LeaseReply, 'nowMs'>): void => {
      resume(steps.next({ ...reply, nowMs: this.#parts.clock.nowMs() }));
    };
    resume(steps.next({ code: 0, nowMs: this.#parts.clock.nowMs() }));
  }

  #perform(
    guest: KeptGuest,
    effect: LeaseEffect,
    answer: (reply: Omit<LeaseReply, 'nowMs'>) => void,
  ): void {
    const target = guest.keeperPid;
    const code = (result: Result<number, SanlockFailure>) =>
      answer({ code: result.ok ? result.value : result.error.code });
    switch (effect.kind) {
      case 'ensure':
        this.#parts.files.ensure(effect.name, (made) => answer({ code: made }));
        return;
      case 'acquire': {
        const { name, mode, adopts: orphan } = effect;
        const ownerName = textToName(guest.name);
        const options = { target, lvb: true, orphan, ownerNowait: true, ownerName };
        this.#call(acquire([this.#resource(name, mode)], options), (result) => {
          if (result.ok) answer({ code: result.value });
          else answer({ code: result.error.code, isUnsure: isUnsure(result.error) });
        });
        return;
      }
      case 'convert':
        this.#call(convert(this.#resource(effect.name, effect.mode), { target }), code);
        return;
      case 'release':
        this.#call(release([this.#resource(effect.name)], { target }), code);
        return;
      case 'releaseOrphan':
        this.#releaseOrphan(effect.name, code);
        return;
      case 'setLender':
        this.#setLender(guest, effect.lease, (set) => answer({ code: set }));
        return;
      case 'getLender':
        this.#getLender(effect.name, answer);
        return;
      case 'getOthers':
        this.#getOthers(effect.name, answer);
        return;
      case 'look':
        this.#look(target, effect.names, answer);
        return;
      case 'sleep':
        this.#parts.clock.after(effect.forMs, () => answer({ code: 0 }));
        return;
      default:
        unreachable(effect);
    }
  }

  /** sanlock lets a registered process alone release: this one, for as long as that takes. */
  #releaseOrphan(name: string, answer: (result: Result<number, SanlockFailure>) => void): void {
    const call = release([this.#resource(name)], { orphan: true });
    openLink(this.#parts.sanlock, { during: call.name }, (opened) => {
      if (!opened.ok) {
        answer(opened);
        return;
      }
      const link = opened.value;
      link.call(register(), DEADLINE_MS, () => {});
      link.call(call, DEADLINE_MS, (result) => {
        link.close();
        answer(result);
      });
    });
  }

  /** Which life of this host lends it: what the other host finds on the disk as well. */
  #setLender(guest: KeptGuest, lease: DiskLease, answer: (code: number) => void): void {
    const { lockspace, hostId: number } = this.#parts;
    const hostId = BigInt(number);
    this.#call(getHosts(lockspace, hostId), (hosts) => {
      if (!hosts.ok) {
        answer(hosts.error.code);
        return;
      }
      const own = hosts.value.find((host) => host.hostId === hostId);
      if (own === undefined) {
        answer(-ERRNO.ENOENT);
        return;
      }
      const { uuid, name } = guest;
      const { generation } = own;
      const names = { guestName: textToName(name), key: textToName(lease.key) };
      const value = encodeGuestValue({ uuid, hostId, generation, ...names }, VALUE_BYTES);
      this.#call(setLvb(this.#resource(lease.name), value), (set) =>
        answer(set.ok ? set.value : set.error.code),
      );
    });
  }

  #getLender(name: string, answer: (reply: { code: number; lent?: Lent }) => void): void {
    this.#call(getLvb(this.#resource(name)), (read) => {
      if (!read.ok) {
        answer({ code: read.error.code });
        return;
      }
      const value = decodeGuestValue(read.value);
      this.#getOthers(name, ({ code, others }) => {
        if (others === undefined) answer({ code });
        else answer({ code, lent: { by: value.ok ? value.value : null, others } });
      });
    });
  }

  #getOthers(
    name: string,
    answer: (reply: { code: number; others?: readonly HostLife[] }) => void,
  ): void {
    this.#call(readResourceOwners(this.#resource(name)), (owners) => {
      if (!owners.ok) {
        answer({ code: owners.error.code });
        return;
      }
      const own = BigInt(this.#parts.hostId);
      answer({ code: 0, others: owners.value.hosts.filter(({ hostId }) => hostId !== own) });
    });
  }

  #look(
    keeperPid: number,
    names: readonly string[],
    answer: (reply: { code: number; seen?: Seen }) => void,
  ): void {
    this.#call(status(), (records) => {
      if (!records.ok) {
        answer({ code: records.error.code });
        return;
      }
      const { lockspace } = this.#parts;
      const seen = seenIn(records.value, { lockspace, names, keeperPid });
      answer(seen === null ? { code: -ERRNO.EAGAIN } : { code: 0, seen });
    });
  }

  #resource(name: string, mode: Mode = 'exclusive'): Resource {
    return leaseResource(this.#parts, name, mode);
  }

  #call<T>(call: SanlockCall<T>, answer: (result: Result<T, SanlockFailure>) => void): void {
    callOnce(this.#parts.sanlock, call, DEADLINE_MS, answer);
  }
}

/** It is left out where it is known that nothing was granted. */
function isUnsure({ outcome }: SanlockFailure): boolean {
  return outcome === 'unknown';
}
