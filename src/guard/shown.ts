/** They have no place in a name: a line of a log would be forged, a terminal told what to do. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;
const SHOWN = 60;

/** Whether a text has a character that ends a line, or is a command to a terminal. */
export function hasControl(text: string): boolean {
  return text.search(CONTROL) >= 0;
}

/** In a sentence: cut, and without what would break the line. */
export function shown(text: string, mostCharacters = SHOWN): string {
  const plain = text.replace(CONTROL, '?');
  return plain.length <= mostCharacters ? plain : `${plain.slice(0, mostCharacters)}…`;
}
