import type { ByteString } from '../../base/bytes.ts';

/** One client in the text of `wdmd -d`, which is the same for the original (spec 25 §2). */
export interface DumpedClient {
  readonly name: ByteString;
  readonly pid: number;
  /** Its connection is gone, its expiry stands. */
  readonly isDead: boolean;
  readonly hasRefcount: boolean;
  /** Monotonic seconds, when the text was made. */
  readonly nowS: number;
  readonly renewalS: number;
  /** Monotonic seconds; null: it has no expiry. */
  readonly expireS: number | null;
}

const CLIENT_LINE = new RegExp(
  '^client \\d+ name (.*) pid (\\d+) fd -?\\d+ dead ([01]) ref ([01]) ' +
    'now (\\d+) renewal (\\d+) expire (\\d+)$',
);
/** wdmd's own two places, of signals and of the socket. */
const OWN_PLACES: readonly ByteString[] = ['signal', 'listen'];

/** The clients that a dump lists, in its order; other lines, and those cut short, are left out. */
export function dumpedClients(dump: ByteString): readonly DumpedClient[] {
  return dump.split('\n').flatMap((line): DumpedClient[] => {
    const found = CLIENT_LINE.exec(line);
    if (found === null) return [];
    const [, name = '', pid, dead, ref, now, renewal, expire] = found;
    if (OWN_PLACES.includes(name)) return [];
    return [
      {
        ...{ name, pid: Number(pid), isDead: dead === '1', hasRefcount: ref === '1' },
        ...{ nowS: Number(now), renewalS: Number(renewal) },
        expireS: expire === '0' ? null : Number(expire),
      },
    ];
  });
}
