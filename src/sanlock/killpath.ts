import type { ByteString } from '../base/bytes.ts';

/** argv has at most 8 entries, the program's name among them (spec 20 §8). */
const MAX_ARGUMENTS = 7;

/** Splits at white space; a backslash escapes white space and itself, any other escape ends it. */
export function splitArguments(text: ByteString): ByteString[] {
  const words: string[] = [];
  let word: string | null = null;
  for (let i = 0; i < text.length; i++) {
    const c = text[i] ?? '';
    if (c === '\\') {
      const next = text[i + 1] ?? '';
      if (!/[\s\\]/.test(next)) break;
      word = (word ?? '') + next;
      i++;
    } else if (/\s/.test(c)) {
      if (word !== null) words.push(word);
      word = null;
    } else word = (word ?? '') + c;
  }
  if (word !== null) words.push(word);
  return words.slice(0, MAX_ARGUMENTS);
}
