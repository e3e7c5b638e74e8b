/** Letters wrong, missing, too many or swapped for a word still to be taken for another. */
const MAX_SLIPS = 2;

/** The word that was probably meant; null when none is near. */
export function nearestKey(written: string, words: readonly string[]): string | null {
  const plain = written.toLowerCase().replaceAll('-', '_');
  let nearest: { readonly word: string; readonly slips: number } | null = null;
  for (const word of words) {
    if (Math.abs(word.length - plain.length) > MAX_SLIPS) continue;
    const slips = slipsBetween(plain, word);
    if (slips <= MAX_SLIPS && (nearest === null || slips < nearest.slips)) {
      nearest = { word, slips };
    }
  }
  return nearest?.word ?? null;
}

/** Levenshtein's distance. */
function slipsBetween(one: string, other: string): number {
  let before = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let i = 1; i <= one.length; i++) {
    const row = [i];
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1] ? 0 : 1;
      row.push(Math.min((row[j - 1] ?? 0) + 1, (before[j] ?? 0) + 1, (before[j - 1] ?? 0) + same));
    }
    before = row;
  }
  return before[other.length] ?? 0;
}
