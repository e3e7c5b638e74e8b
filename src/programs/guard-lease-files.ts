import { type ByteString, textToName } from '../base/bytes.ts';
import { ERRNO } from '../base/errno.ts';
import { MIB, SECOND_MS } from '../base/units.ts';
import { callOnce, type SanlockEndpoint } from '../client/sanlock-link.ts';
import type { PlainFiles } from '../ports/plain-files.ts';
import { align, writeLockspace, writeResource } from '../wire/sanlock/area-calls.ts';
import type { SanlockCall } from '../wire/sanlock/call.ts';
import type { LeaseFiles } from './guard-leases.ts';

const DEADLINE_MS = 60 * SECOND_MS;
/** A lease where sectors have 512 bytes. */
const LEAST_BYTES = MIB;
/** As the plugin makes them, so that a daemon of a group can use them as well. */
const MODE = 0o600;
const GROUP_MODE = 0o660;

export interface GuardLeaseFilesParts {
  readonly sanlock: SanlockEndpoint;
  readonly files: PlainFiles;
  readonly lockspace: ByteString;
  readonly leaseDir: string;
  readonly hostId: number;
  /** Seconds, for a lockspace that is made; null: sanlock's default. */
  readonly ioTimeoutS: number | null;
  /** Owners of what is made; null: who runs this. */
  readonly uid: number | null;
  readonly gid: number | null;
}

/**
 * Lease files that are there whole or not at all: each is formatted under a name of this host's
 * own, and gets its name then. Another host that was faster has made the same (spec 60 §6).
 */
export class GuardLeaseFiles implements LeaseFiles {
  readonly #parts: GuardLeaseFilesParts;
  #drafts = 0;

  constructor(parts: GuardLeaseFilesParts) {
    this.#parts = parts;
  }

  ensure(name: string, answer: (code: number) => void): void {
    const { lockspace: lockspaceName } = this.#parts;
    this.#ensure(name, answer, (path) => {
      const disks = [{ path, offset: 0n }];
      return writeResource({ lockspaceName, name, lver: 0n, flags: 0, disks });
    });
  }

  /** The file of the lockspace itself, with a host lease for each host. */
  ensureLockspace(answer: (code: number) => void): void {
    const { ioTimeoutS, lockspace } = this.#parts;
    this.#ensure(lockspace, answer, (path) => {
      const options = ioTimeoutS === null ? {} : { ioTimeoutS };
      return writeLockspace({ name: lockspace, hostId: 0n, path, offset: 0n }, options);
    });
  }

  #ensure(
    name: string,
    answer: (code: number) => void,
    format: (path: ByteString) => SanlockCall<number>,
  ): void {
    const path = `${this.#parts.leaseDir}/${name}`;
    this.#parts.files.exists(path, (found) => {
      if (found < 0) answer(found);
      else if (found > 0) answer(0);
      else this.#make(path, { name, format, answer });
    });
  }

  #make(
    path: string,
    of: {
      readonly name: string;
      readonly format: (path: ByteString) => SanlockCall<number>;
      readonly answer: (code: number) => void;
    },
  ): void {
    const { files, hostId, leaseDir, uid, gid } = this.#parts;
    const draft = `${leaseDir}/.${of.name}.${hostId}.${++this.#drafts}`;
    // What the next one of that name finds, it removes first.
    const ended = (code: number): void => files.remove(draft, () => of.answer(code));
    const mode = gid === null ? MODE : GROUP_MODE;
    files.remove(draft, () =>
      files.create(draft, { bytes: LEAST_BYTES, mode, uid, gid }, (created) => {
        if (created < 0) ended(created);
        else this.#grow(draft, (grown) => (grown < 0 ? ended(grown) : format()));
      }),
    );
    const format = (): void =>
      this.#call(of.format(textToName(draft)), (written) => {
        if (written < 0) ended(written);
        else files.link(draft, path, (linked) => ended(linked === -ERRNO.EEXIST ? 0 : linked));
      });
  }

  /** As large as a lease is on that storage, which sanlock knows. */
  #grow(draft: string, answer: (code: number) => void): void {
    this.#call(align({ path: textToName(draft), offset: 0n }), (bytes) => {
      if (bytes <= LEAST_BYTES) answer(Math.min(bytes, 0));
      else this.#parts.files.grow(draft, bytes, answer);
    });
  }

  #call(call: SanlockCall<number>, answer: (code: number) => void): void {
    callOnce(this.#parts.sanlock, call, DEADLINE_MS, (result) =>
      answer(result.ok ? result.value : result.error.code),
    );
  }
}
