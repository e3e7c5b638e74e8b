import { textToName } from '../src/base/bytes.ts';
import { MIB } from '../src/base/units.ts';
import { encode, encodeInto, zeroRecord } from '../src/codec/struct.ts';
import {
  ACQUIRE_FLAGS,
  RES_FLAGS,
  SM_CMD,
  SM_HEADER_BYTES,
  SM_MAGIC,
  SM_PROTO,
  sanlkDisk,
  sanlkLockspace,
  sanlkOptions,
  sanlkResource,
  smHeader,
} from '../src/wire/sanlock/socket.ts';
import { BlockingSocket } from './blocking-socket.ts';

const LVB_BYTES = 512;

export interface Area {
  readonly path: string;
  readonly offset: number;
}

export interface Resource {
  readonly lockspace: string;
  readonly name: string;
  readonly area: Area;
}

interface Call {
  readonly cmd: number;
  readonly flags?: number;
  readonly data?: number;
  readonly data2?: number;
  readonly body?: Uint8Array;
}

/** For all connections, as no two calls overlap; fresh pages would take longer than a call. */
const REPLY = Buffer.alloc(64 * 1024);

/** One connection. Results are the header's `data`: 0, a count, or minus an error number. */
export class BlockingConnection {
  readonly #socket: BlockingSocket;

  constructor(path: string) {
    this.#socket = new BlockingSocket(path);
  }

  /** Never answered. */
  register(): void {
    this.#send({ cmd: SM_CMD.REGISTER });
  }

  call(request: Call): number {
    this.#send(request);
    if (this.#socket.receive(REPLY, SM_HEADER_BYTES, true) !== SM_HEADER_BYTES) {
      throw new Error(`command ${request.cmd}: the daemon closed the connection`);
    }
    const result = REPLY.readInt32LE(24);
    let rest = REPLY.readUInt32LE(16) - SM_HEADER_BYTES;
    while (rest > 0) {
      const part = this.#socket.receive(REPLY, Math.min(rest, REPLY.length));
      if (part <= 0) break;
      rest -= part;
    }
    return result;
  }

  /** An answer that ends with the connection, header and all. */
  stream(request: Call): Buffer {
    this.#send(request);
    const parts: Buffer[] = [];
    for (;;) {
      const count = this.#socket.receive(REPLY, REPLY.length);
      if (count <= 0) return Buffer.concat(parts);
      parts.push(Buffer.from(REPLY.subarray(0, count)));
    }
  }

  close(): void {
    this.#socket.close();
  }

  #send(request: Call): void {
    const body = request.body ?? new Uint8Array(0);
    const bytes = new Uint8Array(SM_HEADER_BYTES + body.length);
    encodeInto(
      smHeader,
      {
        magic: SM_MAGIC,
        version: SM_PROTO,
        cmd: request.cmd,
        cmdFlags: request.flags ?? 0,
        length: bytes.length,
        seq: 0,
        data: request.data ?? 0,
        data2: request.data2 ?? -1,
      },
      bytes,
    );
    bytes.set(body, SM_HEADER_BYTES);
    this.#socket.send(bytes, `command ${request.cmd}`);
  }
}

/** A call over a connection of its own, as the client library makes most calls. */
export function callOnce(path: string, request: Call): number {
  const connection = new BlockingConnection(path);
  const result = connection.call(request);
  connection.close();
  return result;
}

/** The history of renewals, as the daemon shows it. */
export function renewalText(path: string, lockspace: string): string {
  const connection = new BlockingConnection(path);
  const body = lockspaceBytes(lockspace, { path: '', offset: 0 }, 0);
  const text = connection.stream({ cmd: SM_CMD.RENEWAL, body }).toString('latin1');
  connection.close();
  return text;
}

export function acquire(
  resource: Resource,
  how: { readonly shared?: boolean; readonly lvb?: boolean; readonly nowait?: boolean } = {},
): Call {
  const body = [
    resourceBytes(resource, how.shared === true),
    diskBytes(resource.area),
    encode(sanlkOptions, zeroRecord(sanlkOptions)),
  ];
  const flags = (how.lvb ? ACQUIRE_FLAGS.LVB : 0) | (how.nowait ? ACQUIRE_FLAGS.OWNER_NOWAIT : 0);
  return { cmd: SM_CMD.ACQUIRE, flags, data: 1, body: Buffer.concat(body) };
}

export function release(resource: Resource): Call {
  return { cmd: SM_CMD.RELEASE, data: 1, body: resourceBytes(resource, false) };
}

export function convert(resource: Resource, shared: boolean): Call {
  return { cmd: SM_CMD.CONVERT, body: resourceBytes(resource, shared) };
}

export function inquire(): Call {
  return { cmd: SM_CMD.INQUIRE };
}

export function version(): Call {
  return { cmd: SM_CMD.VERSION };
}

export function setLvb(resource: Resource): Call {
  const lvb = new Uint8Array(LVB_BYTES).fill(0x78);
  return { cmd: SM_CMD.SET_LVB, body: Buffer.concat([resourceBytes(resource, false), lvb]) };
}

export function getLvb(resource: Resource): Call {
  return { cmd: SM_CMD.GET_LVB, data2: 0, body: resourceBytes(resource, false) };
}

export function writeLockspace(
  name: string,
  area: Area,
  how: { readonly ioTimeoutS: number },
): Call {
  const body = lockspaceBytes(name, area, 1);
  return { cmd: SM_CMD.WRITE_LOCKSPACE, data2: how.ioTimeoutS, body };
}

export function addLockspace(
  name: string,
  area: Area,
  how: { readonly hostId: number; readonly ioTimeoutS: number },
): Call {
  const body = lockspaceBytes(name, area, how.hostId);
  return { cmd: SM_CMD.ADD_LOCKSPACE, data: how.ioTimeoutS, data2: 0, body };
}

/** `numHosts` 0: what the format says, 2000. */
export function writeResource(resource: Resource, numHosts: number): Call {
  const body = Buffer.concat([resourceBytes(resource, false), diskBytes(resource.area)]);
  return { cmd: SM_CMD.WRITE_RESOURCE, data: numHosts, data2: numHosts, body };
}

/** Resource number `index` of one file, one area of 1 MiB each. */
export function resourceAt(path: string, index: number): Resource {
  return { lockspace: 'LS', name: `r${index}`, area: { path, offset: index * MIB } };
}

function resourceBytes(resource: Resource, shared: boolean): Uint8Array {
  return encode(sanlkResource, {
    ...zeroRecord(sanlkResource),
    lockspaceName: textToName(resource.lockspace),
    name: textToName(resource.name),
    flags: shared ? RES_FLAGS.SHARED : 0,
    numDisks: 1,
  });
}

function diskBytes(area: Area): Uint8Array {
  const disk = { ...zeroRecord(sanlkDisk), path: textToName(area.path) };
  return encode(sanlkDisk, { ...disk, offset: BigInt(area.offset) });
}

function lockspaceBytes(name: string, area: Area, hostId: number): Uint8Array {
  return encode(sanlkLockspace, {
    ...zeroRecord(sanlkLockspace),
    name: textToName(name),
    hostId: BigInt(hostId),
    path: textToName(area.path),
    offset: BigInt(area.offset),
  });
}
