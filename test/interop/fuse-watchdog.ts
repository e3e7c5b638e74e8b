import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { ERRNO } from '../../src/base/errno.ts';
import { OP, serveOneFile } from './fuse.ts';

/**
 * A watchdog device that never fires and records the calls it gets: a file of a user space file
 * system, which the kernel hands our ioctls. (CUSE would give a character device, but few kernels
 * carry it.) Run as: fuse-watchdog.cjs <directory> <timeout s> <largest s> <file of events>
 * [<identity> <options>]; without an identity it does not say what it is.
 *
 * An event is a line: CLOCK_MONOTONIC milliseconds, a word, for some a value.
 */
const WDIOC = {
  GETSUPPORT: 0x80285700,
  KEEPALIVE: 0x80045705,
  SETTIMEOUT: 0xc0045706,
  GETTIMEOUT: 0x80045707,
} as const;
const IOCTL_OUT_BYTES = 16;
const INFO_BYTES = 40;
const FOPEN_DIRECT_IO = 1;
const IOCTL_IN_BYTES = 32;

const [directory = '', timeout = '60', largest = '600', events = '', identity = '', options = '0'] =
  process.argv.slice(2);
let timeoutS = Number(timeout);

function note(event: string): void {
  appendFileSync(events, `${Number(process.hrtime.bigint() / 1_000_000n)} ${event}\n`);
}

function answer(operation: number, body: Buffer): Buffer | number {
  switch (operation) {
    case OP.OPEN: {
      note('open');
      const out = Buffer.alloc(16);
      out.writeUInt32LE(FOPEN_DIRECT_IO, 8);
      return out;
    }
    case OP.WRITE: {
      const size = body.readUInt32LE(16);
      note(`write ${body.toString('latin1', 40, 40 + size)}`);
      const written = Buffer.alloc(8);
      written.writeUInt32LE(size, 0);
      return written;
    }
    case OP.IOCTL:
      return ioctlAnswer(body.readUInt32LE(12), body.subarray(IOCTL_IN_BYTES));
    case OP.RELEASE:
      note('close');
      return Buffer.alloc(0);
    case OP.FLUSH:
      return Buffer.alloc(0);
    default:
      return ERRNO.ENOSYS;
  }
}

function ioctlAnswer(command: number, argument: Buffer): Buffer | number {
  const out = Buffer.alloc(20); // struct fuse_ioctl_out and an int
  switch (command) {
    case WDIOC.KEEPALIVE:
      note('keepalive');
      return out;
    case WDIOC.GETSUPPORT: {
      if (identity === '') return ERRNO.ENOTTY;
      const info = Buffer.alloc(IOCTL_OUT_BYTES + INFO_BYTES);
      info.writeUInt32LE(Number(options), IOCTL_OUT_BYTES);
      info.write(identity, IOCTL_OUT_BYTES + 8, 'latin1');
      return info;
    }
    case WDIOC.GETTIMEOUT:
      note(`getTimeout ${timeoutS}`);
      break;
    case WDIOC.SETTIMEOUT: {
      const asked = argument.readInt32LE(0);
      note(`setTimeout ${asked}`);
      if (asked <= 0) return ERRNO.EINVAL;
      timeoutS = Math.min(asked, Number(largest));
      break;
    }
    default:
      return ERRNO.ENOTTY;
  }
  out.writeInt32LE(timeoutS, 16);
  return out;
}

serveOneFile(directory, { name: 'watchdog', bytes: 0, answer }, () => {
  process.stdout.write(`${join(directory, 'watchdog')}\n`);
});
