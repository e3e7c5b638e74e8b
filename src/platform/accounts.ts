import { readFileSync, statSync } from 'node:fs';
import { fail, ok, type Result } from '../base/result.ts';
import { MIB } from '../base/units.ts';
import { reasonOf } from './system-error.ts';
import { textOf } from './text-file.ts';

/** Who is to own files: names, or numbers as text; null: whoever makes them. */
export interface AccountNames {
  readonly user: string | null;
  readonly group: string | null;
}

export interface AccountIds {
  readonly uid: number | null;
  readonly gid: number | null;
}

const FILES = { user: '/etc/passwd', group: '/etc/group' } as const;
const MAX_BYTES = 16 * MIB;
/** The largest is no account: it says "as it is" to the kernel. */
const MAX_ID = 0xffff_fffe;

/**
 * The numbers of accounts of this machine. As libvirt reads its own configuration: a name, else a
 * number, and only a number behind `+`. An account that is in no file, as of a directory service, is
 * given by its number.
 * @returns the numbers, or which account there is not, in a sentence
 */
export function accountIds(
  names: AccountNames,
  files: Readonly<Record<'user' | 'group', string>> = FILES,
): Result<AccountIds, string> {
  const uid = idOf('user', names.user, files.user);
  if (!uid.ok) return uid;
  const gid = idOf('group', names.group, files.group);
  return gid.ok ? ok({ uid: uid.value, gid: gid.value }) : gid;
}

function idOf(
  kind: 'user' | 'group',
  name: string | null,
  file: string,
): Result<number | null, string> {
  if (name === null) return ok(null);
  try {
    const id = name.startsWith('+') ? null : idIn(accountsOf(file), name);
    const number = id ?? numberIn(name);
    if (number !== null) return ok(number);
    return fail(
      `there is no ${kind} ${JSON.stringify(name)} in ${file}: wanted one, or its number`,
    );
  } catch (error) {
    return fail(`the ${kind} ${JSON.stringify(name)} cannot be looked up: ${reasonOf(error)}`);
  }
}

/** The text of a passwd or group file. */
function accountsOf(file: string): string {
  if (statSync(file).size > MAX_BYTES) throw new Error(`${file} has more than ${MAX_BYTES} bytes`);
  return readFileSync(file, 'utf8');
}

/** The number of an account, the third field of its line in either file; null: there is none. */
export function idIn(text: string, name: string): number | null {
  for (const [account, id] of accountsIn(text)) if (account === name) return numberIn(id);
  return null;
}

/** The user of that number; null: it has no name here. */
export function nameOfUser(uid: number, file: string = FILES.user): string | null {
  for (const [account, id] of accountsIn(textOf(file) ?? '')) {
    if (numberIn(id) === uid) return account;
  }
  return null;
}

function* accountsIn(text: string): Generator<readonly [name: string, id: string]> {
  for (const line of text.split('\n')) {
    const [name = '', , id = ''] = line.split(':');
    yield [name, id];
  }
}

/** null: it is none that an account can have. */
function numberIn(text: string): number | null {
  const digits = /^\+?(\d{1,10})$/.exec(text)?.[1];
  return digits === undefined || Number(digits) > MAX_ID ? null : Number(digits);
}
