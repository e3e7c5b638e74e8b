/**
 * What only the log of our sanlock tells: who was refused a lease, and whose processes were
 * stopped. docs/operations/events.md has the events. Values are as found.
 */
export type Logged = { readonly atS: number } & (
  | {
      readonly kind: 'leaseRefused';
      readonly lockspace: string;
      /** Name of the lease; of an LV its UUID. */
      readonly resource: string;
      /** `-243` */
      readonly result: string;
      readonly mode: string;
      /** `lvmlockd`, the name of a guest; '': the log does not say. */
      readonly asker: string;
      readonly reason: string;
      /** The host that holds it, or the process of this one; '': the log does not say. */
      readonly holder: string;
      /** More refusals that were alike. */
      readonly repeated: number;
    }
  | { readonly kind: 'processStopped'; readonly pid: number; readonly how: string }
  | {
      readonly kind: 'leaseNotHeld';
      readonly lockspace: string;
      readonly resource: string;
      readonly pids: string;
    }
);

/** Longer lines are no events of ours. */
const MAX_LINE = 8192;
/** `2026-11-30 19:48:00 54360 [10922]: lease.refused lockspace=LS1 …` */
const LINE = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (\d{1,15}) \[\d+\]: ([a-z]+\.[a-zA-Z]+)( .*)?$/;
/** A value has no blank, or is quoted as in JSON. */
const FIELD = / ([a-zA-Z]+)=("(?:[^"\\]|\\.)*"|[^\s"]\S*|(?= |$))/g;

/** @returns null: it is another event, or no line of ours */
export function loggedIn(line: string): Logged | null {
  if (line.length > MAX_LINE) return null;
  const [, atText = '', event = '', rest = ''] = LINE.exec(line) ?? [];
  const atS = Number(atText);
  switch (event) {
    case 'lease.refused':
      return refusal(atS, fieldsOf(rest));
    case 'client.signalled':
      return signalled(atS, fieldsOf(rest));
    case 'client.killpath':
      return stopped(atS, fieldsOf(rest), 'by its killpath program');
    case 'lease.notHeld': {
      const { lockspace = '', resource = '', pids = '' } = fieldsOf(rest);
      return { kind: 'leaseNotHeld', atS, lockspace, resource, pids };
    }
    default:
      return null;
  }
}

type Fields = Readonly<Partial<Record<string, string>>>;

function fieldsOf(text: string): Fields {
  const pairs = [...text.matchAll(FIELD)].map(([, key = '', value = '']) => [key, unquoted(value)]);
  return Object.fromEntries(pairs) as Fields;
}

function unquoted(value: string): string {
  if (!value.startsWith('"')) return value;
  try {
    return String(JSON.parse(value));
  } catch {
    return value;
  }
}

function refusal(atS: number, fields: Fields): Logged {
  const { lockspace = '', resource = '', result = '', mode = '', reason = '' } = fields;
  const { pid = '', clientName, owner = '', ownerName, holderPid = '', holderName } = fields;
  return {
    ...{ kind: 'leaseRefused', atS, lockspace, resource, result, mode, reason },
    asker: clientName ?? (pid === '' ? '' : `process ${pid}`),
    holder:
      ownerName ??
      (owner === ''
        ? (holderName ?? (holderPid === '' ? '' : `process ${holderPid}`))
        : `host ${owner}`),
    repeated: Number(fields['repeated'] ?? 0) || 0,
  };
}

/** Each second there is another attempt: the first is told, and the first that cannot be refused. */
function signalled(atS: number, fields: Fields): Logged | null {
  const { signal = '', attempt = '' } = fields;
  const isFirst = attempt === '0' || attempt === '1';
  return isFirst || signal === 'SIGKILL' ? stopped(atS, fields, `with ${signal}`) : null;
}

function stopped(atS: number, { pid = '0' }: Fields, how: string): Logged {
  return { kind: 'processStopped', atS, pid: Number(pid) || 0, how };
}
