import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { constants } from 'node:os';

/** Names of variables that no program of ours obeys, nor hands on. */
export const FOREIGN =
  /^(NODE_|LD_|UV_|V8_|KOFFI|OPENSSL_|SSL|ICU_|GLIBC_TUNABLES=|ENV=|BASH_ENV=)/;
/** What we, and Node, hand to a child that we fork. */
const OURS = /^(MALLOC_ARENA_MAX|NODE_CHANNEL_FD|NODE_CHANNEL_SERIALIZATION_MODE)=/;
const NODE = realpathSync(process.execPath);
const { SIGKILL, SIGSTOP } = constants.signals;
const LAST_SIGNAL = 64;

/** Ports that it has open: no program of ours ever needs one. */
export function openPorts(pid: number): string[] {
  const inodes = new Set(
    descriptors(pid).map((link) => /^socket:\[([0-9]+)\]$/.exec(link)?.[1] ?? ''),
  );
  const found: string[] = [];
  for (const table of ['tcp', 'tcp6', 'udp', 'udp6']) {
    for (const line of text(`/proc/${pid}/net/${table}`).split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      if (inodes.has(fields[9] ?? '-')) found.push(`${pid} ${table} ${fields[1]}`);
    }
  }
  return found;
}

function descriptors(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  } catch {
    return []; // it ended, or closed one meanwhile
  }
}

export function isNode(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`) === NODE;
  } catch {
    return false;
  }
}

/** Signals that the process acts upon; any other the kernel ignores, or ends it by. */
export function caughtSignals(pid: number): number[] {
  const mask = BigInt(
    `0x${/^SigCgt:\s*([0-9a-f]+)$/m.exec(text(`/proc/${pid}/status`))?.[1] ?? 0}`,
  );
  const all = Array.from({ length: LAST_SIGNAL }, (_, i) => i + 1);
  return all.filter((n) => n !== SIGKILL && n !== SIGSTOP && (mask >> BigInt(n - 1)) & 1n);
}

export function foreignVariables(pid: number): string[] {
  const pairs = text(`/proc/${pid}/environ`).split('\0');
  return pairs.filter((pair) => FOREIGN.test(pair) && !OURS.test(pair));
}

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // it has ended
  }
}
