import { writeFileSync } from 'node:fs';

const COMM_BYTES = 15;

/** Sets what `ps -o comm` shows; `process.title` would overwrite the arguments as well. */
export function setProcessName(name: string): void {
  try {
    writeFileSync('/proc/self/comm', name.slice(0, COMM_BYTES));
  } catch {
    // Without /proc the name stays what it was; nothing depends on it.
  }
}
