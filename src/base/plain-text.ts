/** They have no place in a name: a line of a log would be forged, a terminal told what to do. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;
/**
 * Beside those, characters without a shape, and such as turn the reading order around: with them
 * one name looks like another, or stands before what it follows.
 */
const WITHOUT_SHAPE =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u{e0000}-\u{e0fff}]/gu;
/** Most texts. To look for the others, a program first has tables of all characters made: 1 ms. */
const PRINTABLE_ASCII = /^[ -~]*$/;
/** Of a character of two units, cut. */
const HALF = /[\ud800-\udbff]$/;
const SHOWN = 60;

/** Whether a text has a character that ends a line, or is a command to a terminal. */
export function hasControl(text: string): boolean {
  return text.search(CONTROL) >= 0;
}

/** What came from outside, for a line of a terminal, a log or a page. */
export function plain(text: string): string {
  return PRINTABLE_ASCII.test(text) ? text : text.replace(WITHOUT_SHAPE, '?');
}

/** JSON for programs, and for whoever sees it on a terminal: every text in it as `plain` has it. */
export function plainJson(value: unknown, indent = 2): string {
  const text = (_: string, one: unknown) => (typeof one === 'string' ? plain(one) : one);
  return JSON.stringify(value, text, indent);
}

const SAFE_WORD = /^[\w@%+=:,./-]+$/;

/** A word of a command that a sentence tells to type: a shell takes it as one word, and as it is. */
export function shellWord(word: string): string {
  const whole = plain(word);
  return SAFE_WORD.test(whole) ? whole : `'${whole.replaceAll("'", "'\\''")}'`;
}

/** In a sentence: cut as well. */
export function shown(text: string, mostCharacters = SHOWN): string {
  const whole = plain(text);
  return whole.length <= mostCharacters
    ? whole
    : `${whole.slice(0, mostCharacters).replace(HALF, '')}…`;
}
