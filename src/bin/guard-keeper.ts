import '../platform/clean-start.ts';
import { writeSync } from 'node:fs';
import { textToName } from '../base/bytes.ts';
import { SanlockClient, sanlockSocketPath } from '../client/sanlock.ts';
import { becomeProgram } from '../platform/become-program.ts';
import { restoreEnvironment } from '../platform/clean-start.ts';
import { MonotonicClock } from '../platform/clock.ts';
import { KEEPER_PROGRAM } from '../platform/keeper-marks.ts';
import { UnixSockets } from '../platform/unix-socket.ts';
import { killpath, restrict } from '../wire/sanlock/lease-calls.ts';
import { RESTRICT_FLAGS } from '../wire/sanlock/socket.ts';

const PATIENCE = { timeoutMs: 10_000 };

/**
 * Registers with sanlock, and becomes a program that sleeps: its leases are acquired and released
 * by the guard, for its pid (decision 0028). Says 'ready' when it is registered, else why not.
 */
async function main(path: string, args: string): Promise<number> {
  const client = new SanlockClient({
    socketPath: sanlockSocketPath(process.env['SANLOCK_RUN_DIR']),
    sockets: new UnixSockets(),
    clock: new MonotonicClock(),
  });
  const registered = await client.registerProcess(PATIENCE);
  if (!registered.ok) return refused(registered.error.message);
  const session = registered.value;
  const program = { path: textToName(path), args: textToName(args) };
  for (const call of [killpath(program, { appendPid: true }), restrict(RESTRICT_FLAGS.SIGKILL)]) {
    const answer = await session.call(call, PATIENCE);
    if (!answer.ok) return refused(answer.error.message);
  }
  restoreEnvironment();
  writeSync(1, 'ready\n');
  const errno = becomeProgram(KEEPER_PROGRAM, [session.fd], { ignoresTermination: true });
  return refused(`${KEEPER_PROGRAM[0]} cannot be run (errno ${errno})`);
}

function refused(sentence: string): number {
  writeSync(1, `${sentence}\n`);
  return 1;
}

const [path = '', args = ''] = process.argv.slice(2);
main(path, args).then((status) => process.exit(status));
