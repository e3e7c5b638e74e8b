import { realpath } from 'node:fs/promises';
import { SECOND_MS } from '../base/units.ts';
import { deviceKey } from './device-key.ts';
import { errnoNameOf } from './system-error.ts';

const DEADLINE_MS = 20 * SECOND_MS;

/** What is behind a path of this host. */
export interface DiskFacts {
  readonly realPath: string;
  readonly deviceKey: string | null;
}

/**
 * Looks paths up, all at once. A path that is not there stays as it is: libvirt itself refuses it.
 * @returns by path, or why one could not be looked up in time, in half a sentence
 */
export async function lookUpPaths(
  paths: readonly string[],
): Promise<ReadonlyMap<string, DiskFacts> | string> {
  let timer: NodeJS.Timeout | null = null;
  const late = new Promise<string>((resolve) => {
    const sentence = `the file system did not answer within ${DEADLINE_MS / SECOND_MS} s`;
    timer = setTimeout(() => resolve(sentence), DEADLINE_MS);
  });
  try {
    const all = Promise.all(
      paths.map(async (path): Promise<readonly [string, DiskFacts] | string> => {
        try {
          const realPath = await realpath(path);
          return [path, { realPath, deviceKey: deviceKey(realPath) }];
        } catch (error) {
          const name = errnoNameOf(error) ?? 'unknown error';
          if (name === 'ENOENT') return [path, { realPath: path, deviceKey: null }];
          return `${path} cannot be looked up: ${name}`;
        }
      }),
    ).then((found) => {
      const trouble = found.find((one) => typeof one === 'string');
      return trouble ?? new Map(found.filter((one) => typeof one !== 'string'));
    });
    return await Promise.race([all, late]);
  } finally {
    if (timer !== null) clearTimeout(timer);
  }
}
