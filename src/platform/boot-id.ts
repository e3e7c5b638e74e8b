import { readFileSync } from 'node:fs';

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

/** Names this boot of the machine, as the kernel writes it. */
export function bootId(): string {
  return readFileSync(BOOT_ID_FILE, 'ascii').trim();
}
