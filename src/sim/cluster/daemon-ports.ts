import { assert } from '../../base/assert.ts';
import { ERRNO } from '../../base/errno.ts';
import type { Log } from '../../ports/log.ts';
import type { Sockets } from '../../ports/sockets.ts';
import { QUIET } from '../kernel/log.ts';

/** Of a daemon in a world where no file is ever damaged: what one daemon wrote, the next one reads. */
export const NOTHING_DAMAGED: Log = {
  ...QUIET,
  error: (event) => assert(event !== 'holders.unknown', 'the journal of holders is whole'),
};

/** Of a host where no other daemon runs. */
export const NO_SOCKETS: Sockets = {
  listen: () => ({ close: () => {} }),
  connect: (_path, _timeoutMs, answer) => answer({ ok: false, errno: ERRNO.ECONNREFUSED }),
};
