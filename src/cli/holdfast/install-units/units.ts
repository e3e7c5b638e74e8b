import { fail, ok, type Result } from '../../../base/result.ts';

/** What npm installs with its usual prefix, and what the units of packaging/ name. */
const AS_WRITTEN = '/usr/local/bin/';
/** What systemd looks for a program in, unless a unit says more. */
export const SYSTEMD_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin'] as const;
/** Every unit of ours says so in its description; another file of the same name is somebody else's. */
const OURS = /^Description=.*\(holdfast\)$/m;
/** What needs no quotes in a unit's command line. */
const PLAIN_PATH = /^\/[\w./+@-]*$/;
/** Without it the socket of sanlock is root's. */
const OF_GROUP = /^SupplementaryGroups=sanlock\n/m;
const HIDDEN = /^\/(tmp|var\/tmp)(\/|$)/;

/** Where the programs are that the units start, and which Node.js runs them. */
export interface Programs {
  /** The folder with `sanlock`, `wdmd` …: `/opt/npm/bin`. */
  readonly bin: string;
  /** The folder of the Node.js that the programs need; null: systemd finds it by itself. */
  readonly node: string | null;
  /** Whether there is a group `sanlock`. */
  readonly hasGroup: boolean;
}

export function isOurs(unit: string): boolean {
  return OURS.test(unit);
}

/** A unit of packaging/, for programs that are somewhere else. */
export function unitFor(text: string, { bin, node, hasGroup }: Programs): string {
  const own = hasGroup ? text : text.replace(OF_GROUP, '');
  const moved = own.replaceAll(AS_WRITTEN, `${bin}/`);
  if (node === null) return moved;
  const path = [node, ...SYSTEMD_PATH].join(':');
  return moved.replace(/^\[Service\]$/m, `[Service]\nEnvironment=PATH=${path}`);
}

/** Names of the programs that the units start. */
export function programsIn(texts: readonly string[]): readonly string[] {
  const found = texts.flatMap((text) => [
    ...text.matchAll(new RegExp(`${AS_WRITTEN}([\\w-]+)`, 'g')),
  ]);
  return [...new Set(found.map(([, name]) => name ?? ''))].sort();
}

/** The folder of the programs of a prefix, or why no unit can start them from there. */
export function binOf(prefix: string): Result<string, string> {
  const wanted = 'install holdfast with another prefix (npm install -g --prefix /usr/local)';
  if (!PLAIN_PATH.test(prefix)) {
    const found = JSON.stringify(prefix);
    return fail(`the prefix ${found} is no absolute path of plain characters: ${wanted}`);
  }
  if (HIDDEN.test(prefix)) {
    return fail(`the units have a /tmp and a /var/tmp of their own, without ${prefix}: ${wanted}`);
  }
  return ok(`${prefix.replace(/\/+$/, '')}/bin`);
}
