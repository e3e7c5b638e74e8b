/** They have no place in a name: a line of a log would be forged, a terminal told what to do. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;
const SHOWN = 60;

/** Whether a text has a character that ends a line, or is a command to a terminal. */
export function hasControl(text: string): boolean {
  return text.search(CONTROL) >= 0;
}

/** What came from outside, for a line of a terminal or a log. */
export function plain(text: string): string {
  return text.replace(CONTROL, '?');
}

/** In a sentence: cut as well. */
export function shown(text: string, mostCharacters = SHOWN): string {
  const whole = plain(text);
  return whole.length <= mostCharacters ? whole : `${whole.slice(0, mostCharacters)}…`;
}
