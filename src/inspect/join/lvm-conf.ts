import { fail, ok, type Result } from '../../base/result.ts';

/**
 * Settings in lvm's configuration files, read and changed in the text: comments, order and layout
 * stay as they are. `section { key = value }`, nested; `section/key = value`; `#` begins a comment.
 */
interface Assignment {
  /** `global/use_lvmlockd` */
  readonly key: string;
  /** Where the value begins and ends in the text. */
  readonly start: number;
  readonly end: number;
}

interface Section {
  readonly name: string;
  /** Behind its brace, and where its closing brace is. */
  readonly start: number;
  readonly end: number;
}

interface Layout {
  readonly assignments: readonly Assignment[];
  readonly sections: readonly Section[];
}

const TOKEN = /\s+|#[^\n]*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{}[\]=,]|[^\s{}[\]=,#"']+/y;

interface Token {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** The value of a setting as it is written; of several the last; null: it is not set. */
export function lvmSetting(text: string, key: string): Result<string | null, string> {
  const layout = layoutOf(text);
  if (!layout.ok) return layout;
  const found = layout.value.assignments.filter((one) => one.key === key).at(-1);
  return ok(found === undefined ? null : text.slice(found.start, found.end));
}

/**
 * The text with the setting: every place that sets it is changed; where there is none, it comes
 * behind the comment that explains it, or to the beginning of its section, or into a new one.
 * @param key `section/name`
 * @returns a sentence: why the text cannot be changed
 */
export function withLvmSetting(text: string, key: string, value: string): Result<string, string> {
  const layout = layoutOf(text);
  if (!layout.ok) return layout;
  const places = layout.value.assignments.filter((one) => one.key === key);
  if (places.length > 0) {
    return ok(
      [...places]
        .reverse()
        .reduce((done, { start, end }) => spliced(done, start, end, value), text),
    );
  }
  const [sectionName = '', name = ''] = key.split('/');
  const section = layout.value.sections.find((one) => one.name === sectionName);
  if (section === undefined) {
    const ending = text === '' || text.endsWith('\n') ? '' : '\n';
    const gap = text === '' ? '' : '\n';
    return ok(`${text}${ending}${gap}${sectionName} {\n\t${name} = ${value}\n}\n`);
  }
  return ok(withinSection(text, section, `${name} = ${value}`, name));
}

/** The text without the setting, where `withLvmSetting` put it on a line of its own. */
function withinSection(text: string, section: Section, line: string, name: string): string {
  const inside = text.slice(section.start, section.end);
  const example = new RegExp(`^([ \\t]*)#[ \\t]*${name}[ \\t]*=[^\\n]*\\n`, 'm').exec(inside);
  if (example !== null) {
    const at = section.start + example.index + example[0].length;
    return spliced(text, at, at, `${example[1] ?? ''}${line}\n`);
  }
  const isOneLine = !inside.includes('\n');
  const added = isOneLine ? ` ${line}` : `\n\t${line}`;
  return spliced(text, section.start, section.start, added);
}

function spliced(text: string, start: number, end: number, by: string): string {
  return `${text.slice(0, start)}${by}${text.slice(end)}`;
}

function layoutOf(text: string): Result<Layout, string> {
  const tokens = tokensOf(text);
  if (!tokens.ok) return tokens;
  const assignments: Assignment[] = [];
  const sections: Section[] = [];
  const open: { readonly name: string; readonly start: number }[] = [];
  const list = tokens.value;
  for (let at = 0; at < list.length; ) {
    const token = list[at];
    const next = list[at + 1];
    if (token === undefined) break;
    if (token.text === '}') {
      const section = open.pop();
      if (section === undefined) return fail(unexpected(text, token));
      sections.push({ ...section, end: token.start });
      at += 1;
    } else if (next?.text === '{') {
      open.push({ name: pathOf(open, token.text), start: next.end });
      at += 2;
    } else if (next?.text === '=') {
      const ends = valueEnd(list, at + 2);
      const first = list[at + 2];
      const last = list[ends - 1];
      if (first === undefined || last === undefined || ends === at + 2) {
        return fail(unexpected(text, next));
      }
      assignments.push({ key: pathOf(open, token.text), start: first.start, end: last.end });
      at = ends;
    } else return fail(unexpected(text, token));
  }
  return open.length === 0 ? ok({ assignments, sections }) : fail('a section is not closed');
}

function pathOf(open: readonly { readonly name: string }[], name: string): string {
  const above = open.at(-1)?.name;
  return above === undefined ? name : `${above}/${name}`;
}

/** Behind one value, or behind a list of them. */
function valueEnd(list: readonly Token[], from: number): number {
  const first = list[from];
  if (first === undefined || /^[{}\]=,]$/.test(first.text)) return from;
  if (first.text !== '[') return from + 1;
  for (let at = from + 1; at < list.length; at++) if (list[at]?.text === ']') return at + 1;
  return from;
}

/** Without blanks and comments. */
function tokensOf(text: string): Result<readonly Token[], string> {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  for (let start = 0; start < text.length; ) {
    const found = TOKEN.exec(text)?.[0];
    if (found === undefined) return fail(`line ${lineOf(text, start)} cannot be read`);
    const end = start + found.length;
    if (!/^[\s#]/.test(found)) tokens.push({ text: found, start, end });
    start = end;
    TOKEN.lastIndex = end;
  }
  return ok(tokens);
}

function unexpected(text: string, { start }: Token): string {
  return `line ${lineOf(text, start)} cannot be read`;
}

function lineOf(text: string, at: number): number {
  return text.slice(0, at).split('\n').length;
}
