import { dirname, join } from 'node:path';
import type { LogFields } from '../base/log-fields.ts';
import type { Log } from '../ports/log.ts';
import { lockMemory, maySwap } from './memory-lock.ts';
import { pinFiles } from './pinned-files.ts';
import { raisePriority } from './scheduling.ts';

/** Read by the dynamic linker and by Node's cryptography whenever one of our programs starts. */
const READ_AT_START = ['/etc/ld.so.cache', '/etc/ssl/openssl.cnf'];

export interface Claims {
  /** As `lockMemory` takes it. */
  readonly mlockLevel: 0 | 1 | 2;
  readonly highPriority: boolean;
  /** Programs of ours that this one starts later. */
  readonly programs?: readonly string[];
  /** Text files of modules that are loaded already; our own programs load the same. */
  readonly modules?: readonly string[];
}

/**
 * What a daemon takes before it serves, so that it runs in time on a machine that is short of
 * memory and processor, or whose root disk hangs. A refusal costs latency, not safety: it is
 * logged.
 * @param about goes into each line, beside the reason.
 */
export function claimMachine(claims: Claims, log: Log, about: LogFields = {}): void {
  const { mlockLevel, highPriority, programs = [], modules = [] } = claims;
  if (mlockLevel > 0 && programs.length > 0) {
    const packages = [...programs, ...modules].map((path) => join(dirname(path), 'package.json'));
    pinFiles([...new Set([...READ_AT_START, ...programs, ...modules, ...packages])]);
  }
  const unlocked = lockMemory(mlockLevel);
  if (unlocked !== null) log.warn('memory.notLocked', { ...about, reason: unlocked });
  if (mlockLevel > 0 && maySwap()) log.warn('memory.maySwap', about);
  const unraised = highPriority ? raisePriority() : null;
  if (unraised !== null) log.warn('priority.notRaised', { ...about, reason: unraised });
}
