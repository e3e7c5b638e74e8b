/** How a part of a text is to look on a terminal. */
export type Tone = 'good' | 'bad' | 'warn' | 'dim' | 'strong';

export type Paint = (tone: Tone, text: string) => string;

const CODES: Readonly<Record<Tone, number>> = { good: 32, bad: 31, warn: 33, dim: 2, strong: 1 };

export const PLAIN: Paint = (_, text) => text;

const COLOURED: Paint = (tone, text) => `\u001b[${CODES[tone]}m${text}\u001b[0m`;

/** Colour on a terminal alone, and not where the user has said that there shall be none. */
export function paintFor(
  stream: { readonly isTTY?: boolean },
  environment: Readonly<Partial<Record<string, string>>>,
): Paint {
  const isWanted = (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb';
  return stream.isTTY === true && isWanted ? COLOURED : PLAIN;
}
