import '../platform/clean-start.ts';
import { connect } from 'node:net';
import { shown } from '../base/plain-text.ts';
import { MIB, SECOND_MS } from '../base/units.ts';
import { REFUSED_STATUS } from '../guard/hook-script.ts';
import { reasonOf } from '../platform/system-error.ts';

/** As long as a migration may wait for its leases, and some. */
const START_MS = 120 * SECOND_MS;
/** libvirt lets the guest go whatever is answered: nobody waits long for it. */
const RELEASE_MS = 15 * SECOND_MS;
/** A sentence for libvirt's user. */
const MAX_ANSWER = 64 * 1024;
/** The longest domain XML that libvirt takes; a call has twice as many bytes at most. */
const MAX_XML_BYTES = 4 * MIB;

const START_IT =
  'start it with "systemctl start holdfast-guard"; "journalctl -u holdfast-guard" says why it ended';

/** A service that is started again serves soon; it takes a call that is repeated. */
const AGAIN_MS = 100;
const RESTARTED_WITHIN_MS = 5 * SECOND_MS;

/** A hook of libvirt: asks the guard, and ends with its verdict. What it says libvirt shows. */
async function main(socketPath: string, operation: string): Promise<void> {
  const withinMs = operation === 'release' ? RELEASE_MS : START_MS;
  let awaited = 'libvirt has not sent the whole domain XML';
  const timer = setTimeout(() => end(1, `${awaited} for ${withinMs / SECOND_MS} s`), withinMs);
  const call = `${JSON.stringify({ operation, xml: await domainXml() })}\n`;
  awaited = 'the guard service has not answered';
  let untilMs: number | null = null;
  const attempt = (): void =>
    ask(socketPath, call, (said, trouble) => {
      const verdict = verdictIn(said);
      untilMs ??= performance.now() + RESTARTED_WITHIN_MS; // since it was missed first
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

async function domainXml(): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_XML_BYTES) end(1, `the domain XML has more than ${MAX_XML_BYTES} bytes`);
    chunks.push(chunk);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    end(1, 'the domain XML has bytes that are no UTF-8');
  }
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

/** libvirt puts it into its log and on the terminal of its user as it is. */
function end(status: number, sentence: string): never {
  process.stderr.write(`holdfast guard: ${shown(sentence, MAX_ANSWER)}\n`);
  process.exit(status);
}

const [socketPath = '', , operation = ''] = process.argv.slice(2);
void main(socketPath, operation);
