import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import type { LogFields } from '../base/log-fields.ts';
import { MIB } from '../base/units.ts';
import { encode, zeroRecord } from '../codec/struct.ts';
import type { Log } from '../ports/log.ts';
import { MemoryJournal } from '../sim/kernel/journal.ts';
import type { SimPeer } from '../sim/kernel/peer.ts';
import {
  INQ_FLAGS,
  killpathBody,
  RESTRICT_FLAGS,
  RINDEX_FLAGS,
  SM_CMD,
  type SmHeader,
  sanlkDisk,
  sanlkLockspace,
  sanlkOptions,
  sanlkRentry,
  sanlkResource,
  sanlkRindex,
} from '../wire/sanlock/socket.ts';
import { Harness, LUN, message, T } from './testing/front-harness.ts';

// libvirt's plugin builds requests in memory that it has not cleared: what stands behind the NUL of
// a name, and in fields without meaning, is anything (spec 60 §2). Whatever it is, the daemon does
// the same: on the disk, in its journal and its log, to processes, and in its answers.

/** A record of a request, and where its fields lie. */
interface Part {
  readonly table: {
    readonly fields: Readonly<
      Record<string, { kind: string; offset: number; size: number; zero?: unknown }>
    >;
  };
  readonly bytes: Uint8Array;
}

const LOCKSPACE: Part = {
  table: sanlkLockspace,
  bytes: encode(sanlkLockspace, {
    ...zeroRecord(sanlkLockspace),
    ...{ name: 'LS', hostId: 1n, path: LUN },
  }),
};
const OPTIONS: Part = {
  table: sanlkOptions,
  bytes: encode(sanlkOptions, { ...zeroRecord(sanlkOptions), ownerName: 'guest' }),
};
const KILLPATH: Part = {
  table: killpathBody,
  bytes: encode(killpathBody, { path: '/sbin/helper', args: 'qemu:///system u pause' }),
};
const INDEX: Part = {
  table: sanlkRindex,
  bytes: encode(sanlkRindex, {
    ...zeroRecord(sanlkRindex),
    ...{ lockspaceName: 'LS', path: LUN, offset: BigInt(8 * MIB), maxResources: 4 },
  }),
};

function entry(name: string, offset = 0n): Part {
  const bytes = encode(sanlkRentry, { ...zeroRecord(sanlkRentry), name, offset });
  return { table: sanlkRentry, bytes };
}

function disk(area: number): Part {
  const place = { path: LUN, offset: BigInt(area * MIB) };
  return { table: sanlkDisk, bytes: encode(sanlkDisk, { ...zeroRecord(sanlkDisk), ...place }) };
}

/** By its names alone, */
function named(area: number, lockspaceName = 'LS', numDisks = 0): Part {
  const record = { ...zeroRecord(sanlkResource), lockspaceName, name: `R${area}`, numDisks };
  return { table: sanlkResource, bytes: encode(sanlkResource, record) };
}

/** or with its place. */
function placed(area: number, lockspaceName = 'LS'): readonly Part[] {
  return [named(area, lockspaceName, 1), disk(area)];
}

const GARBAGE = 'garbage\n\xff/:';
/** Fields that mean nothing. */
const UNUSED = /^(pad|unused)/;

/** The bytes of a record; @param garbage in all of them that must not count */
function bytesOf({ table, bytes }: Part, garbage: boolean): Uint8Array {
  if (!garbage) return bytes;
  const dirty = bytes.slice();
  for (const [key, { kind, offset, size, zero }] of Object.entries(table.fields)) {
    const isText = zero === '';
    if (!isText && kind !== 'pad' && !UNUSED.test(key)) continue;
    const from = isText ? dirty.indexOf(0, offset) + 1 : offset;
    for (let at = from; at < offset + size; at++) dirty[at] = GARBAGE.charCodeAt(at % 11);
  }
  return dirty;
}

type Wish = readonly [cmd: number, parts: readonly Part[], header?: Partial<SmHeader>];

const GUEST = 101;
const FOR_GUEST = { data2: GUEST };

/** What the plugin asks, from the making of its files on (spec 60 §2): one guest with two disks. */
const OF_THE_PLUGIN: readonly Wish[] = [
  [SM_CMD.ALIGN, [disk(0)]],
  [SM_CMD.WRITE_LOCKSPACE, [LOCKSPACE], { data2: T }],
  [SM_CMD.ALIGN, [disk(1)]],
  [SM_CMD.WRITE_RESOURCE, placed(1)],
  [SM_CMD.WRITE_RESOURCE, placed(2)],
  [SM_CMD.ADD_LOCKSPACE, [LOCKSPACE], { data: T }],
  [SM_CMD.INQ_LOCKSPACE, [LOCKSPACE], { cmdFlags: INQ_FLAGS.WAIT }],
  [SM_CMD.ADD_LOCKSPACE, [LOCKSPACE], { data: T }],
  [SM_CMD.INQUIRE, [], FOR_GUEST],
  [SM_CMD.ACQUIRE, [...placed(1), ...placed(2), OPTIONS], { ...FOR_GUEST, data: 2 }],
  [SM_CMD.ACQUIRE, [...placed(1, 'other'), OPTIONS], { ...FOR_GUEST, data: 1 }],
  [SM_CMD.ACQUIRE, [...placed(1), OPTIONS], { data: 1, data2: 102 }],
  [SM_CMD.INQUIRE, [], FOR_GUEST],
  [SM_CMD.RELEASE, [named(2)], { ...FOR_GUEST, data: 1 }],
];

const OF_OTHERS: readonly Wish[] = [
  [SM_CMD.READ_LOCKSPACE, [LOCKSPACE]],
  [SM_CMD.READ_RESOURCE, placed(1)],
  [SM_CMD.READ_RESOURCE_OWNERS, placed(1)],
  [SM_CMD.REQUEST, placed(2), { data: 2 }],
  [SM_CMD.EXAMINE_RESOURCE, [named(1)]],
  [SM_CMD.EXAMINE_LOCKSPACE, [LOCKSPACE]],
  [SM_CMD.CONVERT, [named(1)], FOR_GUEST],
  [SM_CMD.GET_LVB, [named(1)]],
  [SM_CMD.SET_LVB, [named(1)]],
  [SM_CMD.SET_CONFIG, [LOCKSPACE], { data: 4 }],
  [SM_CMD.GET_HOSTS, [LOCKSPACE]],
  [SM_CMD.HOST_STATUS, [LOCKSPACE]],
  [SM_CMD.RENEWAL, [LOCKSPACE]],
  [SM_CMD.FORMAT_RINDEX, [INDEX]],
  [SM_CMD.CREATE_RESOURCE, [INDEX, entry('vm8')]],
  [SM_CMD.UPDATE_RINDEX, [INDEX, entry('vm7', BigInt(10 * MIB))], { cmdFlags: RINDEX_FLAGS.ADD }],
  [SM_CMD.LOOKUP_RINDEX, [INDEX, entry('vm7', BigInt(10 * MIB))]],
  [SM_CMD.REBUILD_RINDEX, [INDEX]],
  [SM_CMD.DELETE_RESOURCE, [INDEX, entry('vm8')]],
];

/** All that can be seen of a daemon that was asked all this, and then lost its disk. */
function lifeOf(garbage: boolean) {
  const lines: string[] = [];
  const journal = new MemoryJournal();
  const harness = new Harness({ journal, log: recorded(lines) });
  const ask = ([cmd, parts, header = {}]: Wish, peer: SimPeer = harness.host.connect(900)) => {
    const request = message(cmd, concatBytes(parts.map((part) => bytesOf(part, garbage))), header);
    return { cmd, result: harness.result(request, peer) };
  };
  const text = (cmd: number) => {
    const peer = harness.host.connect(900);
    peer.send(message(cmd));
    harness.run(1000);
    return Uint8Array.from(peer.received);
  };
  const [guest, other] = [harness.client(GUEST), harness.client(102)];
  const answers = [
    ask([SM_CMD.KILLPATH, [KILLPATH]], guest),
    ask([SM_CMD.RESTRICT, [], { cmdFlags: RESTRICT_FLAGS.ALL }], guest),
    ...OF_THE_PLUGIN.map((wish) => ask(wish)),
  ];
  const shown = [text(SM_CMD.STATUS), text(SM_CMD.GET_LOCKSPACES)];
  answers.push(...OF_OTHERS.map((wish) => ask(wish)));
  const bytes = harness.storage.device(LUN)?.slice();
  const held = journal.load().lines;
  harness.hung = true;
  harness.run(10 * T * 1000);
  guest.close();
  harness.hung = false;
  harness.run(60 * T * 1000);
  answers.push(ask([SM_CMD.REM_LOCKSPACE, [LOCKSPACE]]));
  other.close();
  return { answers, shown, bytes, held, actions: harness.host.actions, lines };
}

function recorded(lines: string[]): Log {
  const line =
    (level: string) =>
    (event: string, fields: LogFields = {}) => {
      const known = Object.entries(fields).map(([key, value]) => `${key}=${value}`);
      lines.push([level, event, ...known].join(' '));
    };
  return { error: line('error'), warn: line('warn'), info: line('info'), debug: line('debug') };
}

test('garbage behind names, and in unused fields, changes nothing that a daemon does', () => {
  const [clean, dirty] = [lifeOf(false), lifeOf(true)];
  const acquired = clean.answers.filter(({ cmd }) => cmd === SM_CMD.ACQUIRE);
  assert.deepEqual(
    acquired.map(({ result }) => result),
    [0, -28, -17],
  );
  const said = dirty.answers.map(({ cmd, result }) => `${cmd}: ${result}`);
  assert.deepEqual(
    said,
    clean.answers.map(({ cmd, result }) => `${cmd}: ${result}`),
  );
  assert.deepEqual(dirty.lines, clean.lines);
  assert.deepEqual(dirty.held, clean.held);
  assert.deepEqual(dirty.shown, clean.shown);
  assert.deepEqual(dirty.actions, clean.actions);
  assert.equal(clean.actions[0]?.text, '/sbin/helper qemu:///system u pause');
  assert.ok(clean.bytes !== undefined && dirty.bytes !== undefined);
  assert.ok(Buffer.from(clean.bytes).equals(dirty.bytes), 'the same bytes on the disk');
});
