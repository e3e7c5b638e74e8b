import { nameToText } from '../../../base/bytes.ts';
import type { NoteFacts } from '../../../format/holder-note.ts';
import { GUEST_LOCKSPACE } from '../../guard/paths.ts';

/** The user of a hold, as the note of its host says. Texts are as found on the disk. */
export interface TakenBy {
  /** `lvm`: lvmlockd, for an LV, a VG or the global lock. */
  readonly kind: 'lvm' | 'guest' | 'process';
  readonly pid: number;
  /** As the client calls itself; of a guest its name. Empty: it has none. */
  readonly clientName: string;
  /** The kernel's name of the process, without arguments. Empty: not known. */
  readonly command: string;
  /** Of a guest; empty: not known. */
  readonly uuid: string;
  /** By the clock of its host, seconds since 1970; null: not known. */
  readonly sinceUnixS: number | null;
}

/** What kind of user it is follows from the names that the lease and the client have. */
export function takenBy(note: NoteFacts, lockspaceName: string): TakenBy {
  const [clientName = '', command = '', uuid = ''] = [note.clientName, note.command, note.uuid].map(
    nameToText,
  );
  const isLvm = clientName === 'lvmlockd' && lockspaceName.startsWith('lvm_');
  const isGuest = lockspaceName === GUEST_LOCKSPACE || uuid !== '';
  return {
    kind: isLvm ? 'lvm' : isGuest ? 'guest' : 'process',
    ...{ pid: note.pid, clientName, command, uuid },
    sinceUnixS: note.sinceUnixS === 0n ? null : Number(note.sinceUnixS),
  };
}
