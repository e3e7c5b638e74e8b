import '../platform/clean-start.ts';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

/** As long as a migration may wait for its leases, and some. */
const DEADLINE_MS = 120_000;

/** A hook of libvirt: asks the guard, and ends with its verdict. What it says libvirt shows. */
function main(socketPath: string, operation: string): void {
  const xml = readFileSync(0, 'utf8');
  const socket = connect(socketPath);
  let said = '';
  socket.setTimeout(DEADLINE_MS, () => refuse('the guard did not answer in time'));
  socket.on('connect', () => socket.write(`${JSON.stringify({ operation, xml })}\n`));
  socket.on('data', (bytes) => {
    said += bytes;
  });
  socket.on('error', (error) => refuse(`the guard cannot be reached: ${error.message}`));
  socket.on('close', () => {
    try {
      const { text } = JSON.parse(said) as { text: string | null };
      if (text === null) process.exit(0);
      refuse(text.replace(/^guard: /, ''));
    } catch {
      refuse('the guard ended before it answered');
    }
  });
}

function refuse(sentence: string): never {
  process.stderr.write(`holdfast guard: ${sentence}\n`);
  process.exit(1);
}

const [socketPath = '', , operation = ''] = process.argv.slice(2);
main(socketPath, operation);
