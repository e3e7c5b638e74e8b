import { stat } from 'node:fs/promises';
import { fail, ok, type Result } from '../../../base/result.ts';
import { readBounded } from '../../../platform/bounded-file.ts';
import { reasonOf } from '../../../platform/system-error.ts';
import { tokenIn } from '../../../web/access.ts';

const MAX_BYTES = 4096;
const OTHERS_READ = 0o004;

/** The token of a file that not everybody may read. @returns a sentence: why there is none */
export async function readToken(path: string): Promise<Result<string, string>> {
  try {
    const { mode } = await stat(path);
    if ((mode & OTHERS_READ) !== 0) {
      return fail(`everybody may read the token in ${path}: chmod o-r ${path}`);
    }
    const token = tokenIn(await readBounded(path, MAX_BYTES));
    if (token !== null) return ok(token);
    return fail(`${path} has no token: one line of 16 to 512 letters, digits and signs is wanted`);
  } catch (error) {
    return fail(`the token is not read: ${reasonOf(error)}`);
  }
}
