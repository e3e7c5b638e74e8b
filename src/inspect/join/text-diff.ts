const CONTEXT = 3;

/**
 * What changes in a file, as `diff -u` shows it, as one piece: all that is different lies between
 * the first and the last line that differ. '': nothing.
 */
export function textDiff(path: string, before: string, after: string): string {
  if (before === after) return '';
  const old = linesOf(before);
  const now = linesOf(after);
  let first = 0;
  while (first < old.length && first < now.length && old[first] === now[first]) first += 1;
  let last = 0;
  const most = Math.min(old.length, now.length) - first;
  while (last < most && old[old.length - 1 - last] === now[now.length - 1 - last]) last += 1;
  const from = Math.max(0, first - CONTEXT);
  const behind = old.slice(old.length - last, old.length - last + CONTEXT);
  const gone = old.slice(first, old.length - last);
  const added = now.slice(first, now.length - last);
  const around = first - from + behind.length;
  const span = (count: number) => `${count === 0 ? from : from + 1},${count}`;
  const head = `@@ -${span(around + gone.length)} +${span(around + added.length)} @@`;
  return [
    `--- ${path}`,
    `+++ ${path}`,
    head,
    ...old.slice(from, first).map((line) => ` ${line}`),
    ...gone.map((line) => `-${line}`),
    ...added.map((line) => `+${line}`),
    ...behind.map((line) => ` ${line}`),
  ].join('\n');
}

function linesOf(text: string): readonly string[] {
  const lines = text.split('\n');
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}
