import { spawnSync } from 'node:child_process';

const DEADLINE_MS = 20_000;
const USUAL_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

/** Loads a module of the kernel, or finds it there. @returns why it could not, or null. */
export function loadModule(name: string): string | null {
  const path = process.env['PATH'] ?? '';
  const { error, status, stderr } = spawnSync('modprobe', [name], {
    env: { PATH: path === '' ? USUAL_PATH : `${path}:${USUAL_PATH}` },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: DEADLINE_MS,
    encoding: 'latin1',
  });
  if (error !== undefined) return error.message;
  if (status === 0) return null;
  const text = stderr.trim();
  return text === '' ? `modprobe ended with status ${status}` : text;
}
