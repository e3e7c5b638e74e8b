import { type Banned, DISCRIMINANTS, MADE_UP_TIMES, TIMES_FILE } from './tidy-rules.ts';
import { code, type SourceFile } from './tidy-text.ts';

export function bannedCalls(file: SourceFile, rules: readonly Banned[]): string[] {
  const text = code(file.text);
  return rules
    .filter(({ pattern }) => pattern.test(text))
    .map(({ pattern, instead }) => `${file.path}: has ${pattern.source}; use ${instead}`);
}

export function waits(file: SourceFile): string[] {
  const isWaiting = /\basync\s+[\w(*]|\bawait\b|\bPromise\b/.test(code(file.text));
  return isWaiting ? [`${file.path}: waits; above client everything is synchronous`] : [];
}

/**
 * A switch has a `default` as its last case, and one over a union ends there in `unreachable`: a new
 * member without a case does not compile. A union is known by the name of the field
 * that differs between its members. A switch ends at the brace of its own indent.
 */
export function openSwitches(file: SourceFile): string[] {
  const lines = file.text.split('\n');
  return lines.flatMap((line, start) => {
    const [, indent = '', subject] = /^(\s*)switch \((.*)\) \{$/.exec(line) ?? [];
    if (subject === undefined) return [];
    const end = lines.findIndex((l, i) => i > start && l === `${indent}}`);
    const body = lines.slice(start + 1, end);
    const last = body.findLastIndex(
      (l) =>
        l.startsWith(`${indent}  `) &&
        /^\s*(case .*|default):/.test(l) &&
        !l.startsWith(`${indent}   `),
    );
    const at = `${file.path}:${start + 1}: switch (${subject})`;
    if (body[last]?.startsWith(`${indent}  default:`) !== true) return [`${at} has no default`];
    const name = /(\w+)$/.exec(subject)?.[1] ?? '';
    if (!DISCRIMINANTS.includes(name)) return [];
    const isClosed = body.slice(last).some((l) => /\bunreachable\(/.test(l));
    return isClosed ? [] : [`${at} does not end in unreachable`];
  });
}

const TIMEOUT = String.raw`(?:[\w.#]*[iI]oTimeout\w*|\b\w*[tT]imes\.\w+Ms)\b`;
const FACTOR = String.raw`(?!1000\b|SECOND_MS\b)[\w.#]+`;
const MULTIPLE = new RegExp(
  String.raw`${TIMEOUT} [*/] ${FACTOR}|(?<![\w.])${FACTOR} \* ${TIMEOUT}`,
);

/** A multiple of an io timeout is a time of a lease, with a name, where all of them stand. */
export function multiples(file: SourceFile): string[] {
  if (file.path === TIMES_FILE || file.path.startsWith(MADE_UP_TIMES)) return [];
  return code(file.text)
    .split('\n')
    .flatMap((line) => MULTIPLE.exec(line)?.[0] ?? [])
    .map((found) => `${file.path}: ${found} is a time that ${TIMES_FILE} should name`);
}
