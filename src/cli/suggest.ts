/** "did you mean ...?" */

/** The candidates nearest to @word, best first, at most three; none when nothing is near. */
export function nearest(word: string, candidates: readonly string[]): string[] {
  const wanted = word.toLowerCase();
  const scored = candidates.map((candidate) => ({ candidate, score: score(wanted, candidate.toLowerCase()) }));
  return scored
    .filter(({ score }) => score <= 0.4)
    .sort((a, b) => a.score - b.score)
    .slice(0, 3)
    .map(({ candidate }) => candidate);
}

/** ` (did you mean a, b or c?)`, or nothing. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const near = nearest(word, candidates);
  if (near.length === 0) return '';
  const last = near[near.length - 1];
  return ` (did you mean ${near.length === 1 ? last : `${near.slice(0, -1).join(', ')} or ${last}`}?)`;
}

/** 0 is the same, 1 is nothing in common. A part of a name that was typed in full is near. */
function score(word: string, candidate: string): number {
  const part = word.length >= 3 && candidate.includes(word) ? 0.3 : 1;
  return Math.min(part, editDistance(word, candidate) / Math.max(word.length, candidate.length, 1));
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min(row[j - 1]! + 1, last[j]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, beforeLast[j - 2]! + 1);
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
