/** Options whose words hold paths, with colons and blanks behind backslashes. */
const WITH_PATHS: ReadonlySet<string> = new Set(['-s', '-r', '-x']);

/**
 * A backslash before anything but a colon, a blank or a backslash would vanish, and the path mean
 * another file: one that may be formatted. The sentence to refuse it with; null: there is none.
 */
export function strayBackslash(args: readonly string[]): string | null {
  const end = args.indexOf('-c');
  const words = end < 0 ? args : args.slice(0, end);
  for (const [at, word] of words.entries()) {
    if (!WITH_PATHS.has(words[at - 1] ?? '')) continue;
    if (!word.replace(/\\[\\: ]/g, '').includes('\\')) continue;
    const rule = 'a backslash stands only before a colon, a blank or another backslash';
    return `sanlock: ${words[at - 1]} ${word}: ${rule}; write \\\\ for a backslash of the path`;
  }
  return null;
}
