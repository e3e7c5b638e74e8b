import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { MIB } from '../base/units.ts';

const MAX_PROGRAM_BYTES = 4 * MIB; // lvmlockctl has 50 KB; anything large is not it
const ANY_FIELD = 'ls_name=';
const OLD_FIELD = 'vg_sysid=';

/**
 * lvmlockctl of lvm2 2.03.16 and of later releases (2.03.31, 2.03.40) cannot read each other's
 * state text, and the request does not name its program: the field names stand in the program
 * file (spec 30 §4.9).
 */
export function lvmlockctlAge(pid: number | null): 'old' | 'new' {
  return pid === null ? 'old' : ageOfProgram(`/proc/${pid}/exe`);
}

export function ageOfProgram(path: string): 'old' | 'new' {
  try {
    const fd = openSync(path, 'r');
    try {
      const { size } = fstatSync(fd);
      if (size > MAX_PROGRAM_BYTES) return 'old';
      const program = Buffer.alloc(size);
      readSync(fd, program, 0, size, 0);
      return program.includes(ANY_FIELD) && !program.includes(OLD_FIELD) ? 'new' : 'old';
    } finally {
      closeSync(fd);
    }
  } catch {
    return 'old'; // gone already
  }
}
