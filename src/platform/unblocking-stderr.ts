import { constants, createWriteStream, fstatSync, openSync, writeSync } from 'node:fs';
import { MIB } from '../base/units.ts';
import { send } from './system-calls.ts';

const STDERR = 2;
const OWN_OPENING = '/proc/self/fd/2';
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;
/** To a regular file, whose disk may hang; the kernel bounds what pipes and sockets hold. */
const MAX_UNWRITTEN_BYTES = MIB;

/** Takes as many bytes as it can at this moment; 0 when none. */
type Take = (bytes: Uint8Array) => number;

/**
 * Lines to stderr without ever waiting for its reader: Node writes to pipes and sockets
 * synchronously, and a journal whose disk hangs would stop the daemon. A line for which there is no
 * room is left out, and counted; the count is the next line that finds room. Never throws.
 */
export function unblockingStderr(take: Take = takerOf(STDERR)): (text: string) => void {
  let cut: Uint8Array = new Uint8Array(0); // the rest of a line of which a part was taken
  let lost = 0;
  const put = (bytes: Uint8Array): Uint8Array => bytes.subarray(take(bytes));
  return (text) => {
    cut = put(cut);
    if (cut.length > 0) {
      lost++;
      return;
    }
    const note = lost > 0 ? `${lost} lines lost: nobody read them\n` : '';
    const bytes = Buffer.from(note + text);
    const rest = put(bytes);
    if (rest.length === bytes.length) lost++;
    else {
      lost = 0;
      cut = rest;
    }
  };
}

function takerOf(fd: number): Take {
  try {
    const stat = fstatSync(fd);
    if (stat.isSocket()) {
      return (bytes) => Math.max(0, send(fd, bytes, bytes.length, MSG_DONTWAIT_NOSIGNAL));
    }
    // O_NONBLOCK on what we inherited would also be set for the shell that started us.
    if (stat.isFIFO() || stat.isCharacterDevice()) {
      const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants;
      return quiet(openSync(OWN_OPENING, O_WRONLY | O_NONBLOCK | O_NOCTTY));
    }
    return streamTaker(fd);
  } catch {
    return () => 0; // closed, or another user's terminal
  }
}

function quiet(fd: number): Take {
  return (bytes) => {
    try {
      return bytes.length === 0 ? 0 : writeSync(fd, bytes);
    } catch {
      return 0; // EAGAIN, EPIPE
    }
  };
}

function streamTaker(fd: number): Take {
  const stream = createWriteStream('', { fd, autoClose: false });
  let isBroken = false;
  stream.on('error', () => {
    isBroken = true;
  });
  return (bytes) => {
    if (isBroken || stream.writableLength > MAX_UNWRITTEN_BYTES) return 0;
    if (bytes.length > 0) stream.write(bytes);
    return bytes.length;
  };
}
