import type { ByteString } from '../../../base/bytes.ts';
import { register } from '../../../wire/sanlock/daemon-calls.ts';
import { killpath, restrict } from '../../../wire/sanlock/lease-calls.ts';
import { RESTRICT_FLAGS } from '../../../wire/sanlock/socket.ts';
import type { ManagerSteps } from '../steps.ts';
import { ask, openSession } from './ask.ts';

/**
 * Registers lvmlockd with sanlock over a connection of its own: the program to run when the
 * lockspace is lost, and no SIGKILL (spec 31 §3). @returns whether sanlock took all of it
 */
export function* registerSession(
  session: number,
  of: { readonly vgName: ByteString; readonly killpath: ByteString; readonly quickMs: number },
): ManagerSteps<boolean> {
  const { quickMs } = of;
  const registered = yield* openSession(session, register(), quickMs);
  if (!registered.ok) return false;
  const program = killpath({ path: of.killpath, args: killArgs(of.vgName) });
  for (const call of [program, restrict(RESTRICT_FLAGS.SIGKILL)]) {
    const answer = yield* ask(call, quickMs, session);
    if (!answer.ok) return false;
  }
  return true;
}

/** sanlock splits the arguments at blanks; a backslash keeps one. */
function killArgs(vgName: ByteString): ByteString {
  return `--kill ${vgName.replace(/[\\\s]/g, (c) => `\\${c}`)}`;
}
