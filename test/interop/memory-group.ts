import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';

const UNLIMITED = '-1';
const SMALL = '1M';
const MUCH = '1G';

/** A control group of its own, from which all that may leave memory can be evicted. */
export class MemoryGroup {
  readonly #directory: string;
  readonly #isV2: boolean;

  private constructor(directory: string, isV2: boolean) {
    this.#directory = directory;
    this.#isV2 = isV2;
  }

  /** A sentence when this machine offers none. */
  static make(name: string): MemoryGroup | string {
    const own = readFileSync('/proc/self/cgroup', 'latin1');
    const v1 = /^\d+:memory:(.+)$/m.exec(own)?.[1];
    const v2 = /^0::(.+)$/m.exec(own)?.[1] ?? '/';
    const parent = v1 === undefined ? `/sys/fs/cgroup${v2}` : `/sys/fs/cgroup/memory${v1}`;
    const directory = `${parent}/${name}`;
    try {
      mkdirSync(directory);
    } catch (error) {
      return `no control group can be made here: ${error instanceof Error ? error.message : error}`;
    }
    const isV2 = existsSync(`${directory}/memory.reclaim`);
    if (isV2 || existsSync(`${directory}/memory.limit_in_bytes`)) {
      return new MemoryGroup(directory, isV2);
    }
    rmdirSync(directory);
    return 'the kernel counts no memory for control groups here';
  }

  /** Runs a program in it: give these words before the program's own. */
  get through(): readonly string[] {
    const become = 'echo $$ >"$0" && exec "$@"';
    return ['/bin/sh', '-c', become, `${this.#directory}/cgroup.procs`];
  }

  /** Evicts all that can go: the kernel refuses in the end, when nothing more goes. */
  evict(): void {
    const write = (file: string, value: string) => {
      try {
        writeFileSync(`${this.#directory}/${file}`, value);
      } catch {
        // EAGAIN, EBUSY: what is left cannot go.
      }
    };
    if (this.#isV2) {
      write('memory.reclaim', MUCH);
      return;
    }
    write('memory.limit_in_bytes', SMALL);
    write('memory.limit_in_bytes', UNLIMITED);
  }

  /** When all that ran in it has ended. */
  remove(): void {
    rmdirSync(this.#directory);
  }
}

/** A copy that no other program has in memory. */
export function privateCopy(of: string, to: string): void {
  execFileSync('cp', ['--reflink=never', of, to]);
  execFileSync('dd', [`of=${to}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'], {
    stdio: 'ignore',
  });
}

/** Mappings of files that are not wholly in memory, or not locked there. */
export function looseMappings(pid: number): readonly string[] {
  const loose: string[] = [];
  let [head, sizeKb, rssKb] = ['', 0, 0];
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'latin1').split('\n')) {
    const [name = '', value = ''] = line.split(/:\s+/);
    if (name === 'Size') sizeKb = Number.parseInt(value, 10);
    else if (name === 'Rss') rssKb = Number.parseInt(value, 10);
    else if (name === 'VmFlags') {
      const isKept = rssKb === sizeKb && value.split(' ').includes('lo');
      // The kernel keeps the ring of its asynchronous I/O by itself.
      if (/ [-r]..[ps] .* \/(?!\[aio\])/.test(head) && !/ ---p /.test(head) && !isKept) {
        loose.push(`${head}: ${rssKb} of ${sizeKb} KiB`);
      }
    } else if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) head = line;
  }
  return loose;
}
