import { read as readFile, readFileSync, readlinkSync, write as writeFile } from 'node:fs';
import { ERRNO } from '../base/errno.ts';
import type { AllocateAligned } from './aligned-memory.ts';
import type { DiskEngine, Transfer } from './disk-device.ts';

const WASM_PAGE_BYTES = 65536;

// Node has it, the type libraries we use declare it only for browsers.
declare const WebAssembly: {
  readonly Memory: new (pages: {
    readonly initial: number;
    readonly maximum: number;
  }) => { readonly buffer: ArrayBuffer };
};

/**
 * Page-aligned memory without foreign functions: a WebAssembly memory starts on a page. Each such
 * memory reserves gigabytes of address space, so there is one, cut into pieces (spec 70 §2.1).
 */
export function wasmAllocator(limitBytes: number): AllocateAligned {
  const pages = Math.ceil(limitBytes / WASM_PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  let used = 0;
  return (length) => {
    const reserved = Math.ceil(length / WASM_PAGE_BYTES) * WASM_PAGE_BYTES;
    if (used + reserved > memory.buffer.byteLength) return null;
    const bytes = new Uint8Array(memory.buffer, used, length);
    used += reserved;
    return { bytes, address: 0 };
  };
}

/** Each transfer under way keeps a thread, with a hung device for as long as it hangs. */
export const PLAIN_THREADS = 48;

/**
 * Reads and writes on threads, where the kernel gives us no AIO: at 1.3 to 2 times its cost, and
 * with fewer requests under way. The program gives it that many threads, beside those for opening.
 */
export class PlainEngine implements DiskEngine {
  readonly depth = PLAIN_THREADS;

  start(transfer: Transfer): boolean {
    const { fd, buffer, length, offset } = transfer;
    const done = (failure: NodeJS.ErrnoException | null, moved: number) =>
      transfer.ended(failure === null ? moved : -Math.abs(failure.errno ?? ERRNO.EIO));
    if (transfer.write) writeFile(fd, buffer.bytes, 0, length, offset, done);
    else readFile(fd, buffer.bytes, 0, length, offset, done);
    return true;
  }

  deviceSectorSize(fd: number): number | null {
    try {
      const name = readlinkSync(`/proc/self/fd/${fd}`).split('/').pop() ?? '';
      return Number(readFileSync(`/sys/class/block/${name}/queue/logical_block_size`, 'ascii'));
    } catch {
      return null; // a partition, or no sysfs: the caller finds the size on disk
    }
  }

  deviceBytes(): number | null {
    return null;
  }
}
