import type { ByteString } from '../../base/bytes.ts';
import { hostStatus, renewalHistory, status } from '../../wire/sanlock/daemon-calls.ts';
import { textField } from '../../wire/sanlock/records.ts';
import { STATE_TYPES } from '../../wire/sanlock/socket.ts';
import { exportPath, printResource } from '../../wire/sanlock/strings.ts';
import type { StateRecord } from '../../wire/sanlock/types.ts';
import { lockspaceOption } from './command-line.ts';
import { type Action, type ClientContext, codeOf } from './context.ts';

/** Records kept for sorted output. */
const MAX_SORTED_RECORDS = 1024;

export const showStatus: Action = async (context) => {
  const answered = await context.client.call(status());
  if (!answered.ok) return answered.error.code;
  for (const record of sorted(answered.value, context.line.words.o?.[0])) {
    context.print(record === null ? '-\n' : stateLine(record));
    if (record !== null) printFields(context, record);
  }
  return 0;
};

/** As they came, or by process (`p`) or lockspace (`s`); null parts off what belongs nowhere. */
function sorted(
  records: readonly StateRecord[],
  order: string | undefined,
): readonly (StateRecord | null)[] {
  if (order !== 'p' && order !== 's') return records;
  const rest = records.slice(0, MAX_SORTED_RECORDS);
  const take = (wanted: (record: StateRecord) => boolean): StateRecord[] => {
    const taken = rest.filter(wanted);
    for (const record of taken) rest.splice(rest.indexOf(record), 1);
    return taken;
  };
  const ofType = (type: number) => (record: StateRecord) => record.type === type;
  const lines: (StateRecord | null)[] = take(ofType(STATE_TYPES.DAEMON));
  lines.push(...take((r) => r.type === STATE_TYPES.CLIENT && r.data32 === -1));
  if (order === 'p') {
    lines.push(...take(ofType(STATE_TYPES.LOCKSPACE)));
    for (const client of take(ofType(STATE_TYPES.CLIENT))) {
      const theirs = (r: StateRecord) =>
        r.type === STATE_TYPES.RESOURCE && r.data32 === client.data32;
      lines.push(client, ...take(theirs));
    }
  } else {
    lines.push(...take(ofType(STATE_TYPES.CLIENT)));
    for (const lockspace of take(ofType(STATE_TYPES.LOCKSPACE))) {
      const inside = (r: StateRecord) =>
        r.type === STATE_TYPES.RESOURCE && r.resource?.lockspaceName === lockspace.name;
      lines.push(lockspace, ...take(inside));
    }
  }
  return rest.length === 0 ? lines : [...lines, null, ...rest];
}

function stateLine(record: StateRecord): ByteString {
  const { type, name, data32, data64 } = record;
  switch (type) {
    case STATE_TYPES.DAEMON:
      return `daemon ${name}\n`;
    case STATE_TYPES.CLIENT:
      return `p ${data32} ${name}\n`;
    case STATE_TYPES.LOCKSPACE: {
      const path = exportPath(record.lockspace?.path ?? '');
      const offset = record.lockspace?.offset ?? 0n;
      return `s ${name}:${data64}:${path}:${offset}${listSuffix(record, ['add', 'rem'])}\n`;
    }
    case STATE_TYPES.RESOURCE: {
      const text =
        record.resource === null ? name : printResource({ ...record.resource, lver: data64 });
      return `r ${text} p ${data32}${listSuffix(record, ['add', 'rem', 'orphan'])}\n`;
    }
    case STATE_TYPES.HOST:
      return `${data32} timestamp ${data64}\n`;
    default:
      return '';
  }
}

/** ' ADD' for a record on the list of that name; nothing for the usual lists. */
function listSuffix(record: StateRecord, shown: readonly string[]): string {
  const list = textField(record, 'list') ?? '';
  return shown.includes(list) ? ` ${list.toUpperCase()}` : '';
}

function printFields(context: ClientContext, record: StateRecord): void {
  if (!context.line.debug || record.text === '') return;
  for (const field of record.text.split(' ')) context.print(`    ${field}\n`);
}

export const showHostStatus: Action = async (context) => {
  const named = lockspaceOption(context.line).name;
  if (named !== '') return printHosts(context, named);
  const lockspaces = await context.client.call(status(3));
  if (!lockspaces.ok) return lockspaces.error.code;
  let result = 0;
  for (const record of lockspaces.value) {
    if (record.type !== STATE_TYPES.LOCKSPACE) continue;
    context.print(`lockspace ${record.name}\n`);
    result = (await printHosts(context, record.name)) || result;
  }
  return result;
};

async function printHosts(context: ClientContext, lockspaceName: ByteString): Promise<number> {
  const answered = await context.client.call(hostStatus(lockspaceName));
  if (!answered.ok) return answered.error.code;
  for (const record of answered.value) {
    context.print(stateLine(record));
    printFields(context, record);
  }
  return 0;
}

export const showRenewals: Action = async (context) => {
  const name = lockspaceOption(context.line).name;
  const answered = await context.client.call(renewalHistory(name));
  if (!answered.ok) return codeOf(answered);
  for (const record of answered.value.records) context.print(`${record.text}\n`);
  return 0;
};
