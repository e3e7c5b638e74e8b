import { idIn } from '../../platform/accounts.ts';
import type { Decided } from './decide.ts';
import { type Finding, NOT_STARTED, quoted } from './finding.ts';
import type { HostFacts } from './host-facts.ts';

/** Whom the daemon becomes, and whose group may use its socket. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
  readonly findings: readonly Finding[];
}

const OURS = 'sanlock';

/**
 * User and group sanlock if both exist, else root. One that is named and does not exist is refused:
 * the original runs as root then, and gives the socket to the group root.
 */
export function ownerOf(decided: Decided, host: Pick<HostFacts, 'readFile'>): Owner {
  const findings: Finding[] = [];
  const users = host.readFile('/etc/passwd').text;
  const groups = host.readFile('/etc/group').text;
  const areBoth = idIn(users, OURS) !== null && idIn(groups, OURS) !== null;
  const of = (kind: 'user' | 'group', file: string): number => {
    const name = decided.values[kind];
    if (name === undefined) return areBoth ? (idIn(file, OURS) ?? 0) : 0;
    const id = /^[0-9]{1,9}$/.test(name) ? Number(name) : idIn(file, name);
    if (id === null) findings.push(unknown(decided, kind, name));
    return id ?? 0;
  };
  const uid = of('user', users);
  const gid = of('group', groups);
  return { uid, gid, findings };
}

function unknown({ deciding }: Decided, kind: 'user' | 'group', name: string): Finding {
  const { place = '', key = '' } = deciding.get(kind) ?? {};
  const wanted = `a ${kind} of /etc/${kind === 'user' ? 'passwd' : 'group'}, or its number`;
  return { verdict: 'refused', place, key, found: quoted(name), wanted, used: NOT_STARTED };
}
