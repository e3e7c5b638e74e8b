import { PlainOutput } from '../../platform/plain-output.ts';

const stdout = new PlainOutput(1);
const stderr = new PlainOutput(2);

/** A byte string, to stdout. */
export function print(text: string): void {
  stdout.write(Buffer.from(text, 'latin1'));
}

/** A sentence, to stderr. */
export function complain(line: string): void {
  stderr.write(Buffer.from(`${line}\n`));
}
