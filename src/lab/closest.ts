/** The name that begins with @name, or else differs least from it, for "did you mean". */
export function closest(name: string, names: readonly string[]): string {
  const distance = (a: string, b: string): number => {
    let row = Array.from({ length: b.length + 1 }, (_, i) => i);
    for (let i = 1; i <= a.length; i++) {
      const next = [i];
      for (let j = 1; j <= b.length; j++) {
        const change = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
        next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1));
      }
      row = next;
    }
    return row[b.length] as number;
  };
  const nearest = (list: readonly string[]): string | undefined =>
    [...list].sort((a, b) => distance(name, a) - distance(name, b))[0];
  const begun = nearest(names.filter((other) => other.startsWith(name)));
  const best = begun ?? nearest(names);
  if (best === undefined || (begun === undefined && distance(name, best) > Math.max(2, name.length / 2))) return '';
  return ` (did you mean "${best}"?)`;
}
