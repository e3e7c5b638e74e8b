const MAX_WORDS = 32;

/**
 * The answer of `lvm config --typeconfig full global/lvmlockctl_kill_command`; null when no
 * command with a full path is set.
 */
export function killCommandOf(output: string): readonly string[] | null {
  const found = /^\s*lvmlockctl_kill_command\s*=\s*"((?:[^"\\]|\\.)*)"/.exec(output);
  const text = found?.[1]?.replace(/\\(["\\])/g, '$1') ?? '';
  const words = wordsOf(text);
  return words[0]?.startsWith('/') === true ? words : null;
}

/** Split at blanks; a backslash keeps the next character. No shell is involved. */
export function wordsOf(text: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  for (let i = 0; i < text.length && words.length < MAX_WORDS; i++) {
    const c = text[i] ?? '';
    if (c === '\\' && i + 1 < text.length) {
      i += 1;
      word = (word ?? '') + (text[i] ?? '');
    } else if (/\s/.test(c)) {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word ?? '') + c;
    }
  }
  if (word !== null && words.length < MAX_WORDS) words.push(word);
  return words;
}
