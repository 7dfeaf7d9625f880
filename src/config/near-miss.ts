/** "Did you mean …?" */

/** A word further away than this is another word. */
const MAX_DISTANCE = 3;

/**
 * The word nearest to `word`, if one is near enough to be meant.
 *
 * Nearness is the Levenshtein distance, which must also be less than half the word's length.
 */
export function nearMiss(word: string, words: readonly string[]): string | undefined {
  let best: { readonly word: string; readonly distance: number } | undefined;
  for (const candidate of words) {
    const distance = levenshtein(word.toLowerCase(), candidate.toLowerCase());
    if (!best || distance < best.distance) best = { word: candidate, distance };
  }
  return best && best.distance <= MAX_DISTANCE && best.distance * 2 < word.length + 1 ? best.word : undefined;
}

/** Wagner and Fischer's algorithm, one row at a time. */
function levenshtein(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, charA] of a.split("").entries()) {
    const next = [i + 1];
    for (const [j, charB] of b.split("").entries()) {
      const replaced = (row[j] ?? 0) + (charA === charB ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
