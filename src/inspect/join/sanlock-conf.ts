/**
 * Settings of sanlock.conf, read and changed in the text. A line with a blank at its beginning is
 * none for the original, which skips it.
 */

/** The value of a key as sanlock reads it: of several the last; null: it is not set. */
export function sanlockSetting(text: string, key: string): string | null {
  const found = [...text.matchAll(lineOf(key))].at(-1);
  return found?.[2] === undefined || found[2] === '' ? null : found[2];
}

/** The text with the setting: in its place, behind the comment that explains it, or at the end. */
export function withSanlockSetting(text: string, key: string, value: string): string {
  const set = lineOf(key);
  if (set.test(text)) return text.replace(lineOf(key), `$1${value}`);
  const example = new RegExp(`^#[ \\t]*${key}[ \\t]*=[^\\n]*$`, 'm').exec(text);
  if (example !== null) {
    const at = example.index + example[0].length;
    return `${text.slice(0, at)}\n${key} = ${value}${text.slice(at)}`;
  }
  return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${key} = ${value}\n`;
}

function lineOf(key: string): RegExp {
  return new RegExp(`^(${key}[ \\t]*=[ \\t]*)(\\S*)`, 'gm');
}
