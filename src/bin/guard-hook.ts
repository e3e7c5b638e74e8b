import '../platform/clean-start.ts';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { SECOND_MS } from '../base/units.ts';
import { REFUSED_STATUS } from '../guard/hook-script.ts';
import { reasonOf } from '../platform/system-error.ts';

/** As long as a migration may wait for its leases, and some. */
const START_MS = 120 * SECOND_MS;
/** libvirt lets the guest go whatever is answered: nobody waits long for it. */
const RELEASE_MS = 15 * SECOND_MS;
/** A sentence for libvirt's user. */
const MAX_ANSWER = 64 * 1024;

const START_IT =
  'start it with "systemctl start holdfast-guard"; "journalctl -u holdfast-guard" says why it ended';

/** A service that is started again serves soon; it takes a call that is repeated. */
const AGAIN_MS = 100;
const RESTARTED_WITHIN_MS = 5 * SECOND_MS;

/** A hook of libvirt: asks the guard, and ends with its verdict. What it says libvirt shows. */
function main(socketPath: string, operation: string): void {
  const call = `${JSON.stringify({ operation, xml: readFileSync(0, 'utf8') })}\n`;
  const withinMs = operation === 'release' ? RELEASE_MS : START_MS;
  const timer = setTimeout(
    () => end(1, `the guard service has not answered for ${withinMs / SECOND_MS} s`),
    withinMs,
  );
  const untilMs = performance.now() + RESTARTED_WITHIN_MS;
  const attempt = (): void =>
    ask(socketPath, call, (said, trouble) => {
      const verdict = verdictIn(said);
      if (verdict === null && performance.now() < untilMs) {
        setTimeout(attempt, AGAIN_MS);
        return;
      }
      clearTimeout(timer);
      if (verdict === null) end(1, `${trouble}: ${START_IT}`);
      if (verdict.text === null) process.exit(0);
      end(REFUSED_STATUS, verdict.text.replace(/^guard: /, ''));
    });
  attempt();
}

/** `answered` is called once, with what was said, and what is wrong where that is no verdict. */
function ask(
  socketPath: string,
  call: string,
  answered: (said: string, trouble: string) => void,
): void {
  const socket = connect(socketPath);
  let said = '';
  let trouble = 'the guard service ended before it answered';
  socket.on('connect', () => socket.write(call));
  socket.setEncoding('utf8');
  socket.on('data', (text) => {
    said += text;
    if (said.length > MAX_ANSWER) end(1, 'the guard service answered with what is no verdict');
  });
  socket.on('error', (error) => {
    trouble = `the guard service does not run (${reasonOf(error)})`;
  });
  socket.on('close', () => answered(said, trouble));
}

/** null: it is none. */
function verdictIn(said: string): { readonly text: string | null } | null {
  try {
    const parsed: unknown = JSON.parse(said);
    if (typeof parsed !== 'object' || parsed === null || !('text' in parsed)) return null;
    const { text } = parsed;
    return text === null || typeof text === 'string' ? { text } : null;
  } catch {
    return null;
  }
}

function end(status: number, sentence: string): never {
  process.stderr.write(`holdfast guard: ${sentence}\n`);
  process.exit(status);
}

const [socketPath = '', , operation = ''] = process.argv.slice(2);
main(socketPath, operation);
