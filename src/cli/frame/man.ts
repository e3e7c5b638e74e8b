import { HOLDFAST_VERSION } from '../../base/version.ts';
import { optionHead, usageOf } from './help.ts';
import { type CommandOption, type CommandPage, HELP_OPTION } from './page.ts';
import type { Row } from './rows.ts';

/** A page of the manual, as data: of a program, of a command of `holdfast`, or of a file. */
export interface ManPage {
  /** `holdfast-guard`, `sanlock.conf` */
  readonly name: string;
  /** 5: files; 8: programs of administrators. */
  readonly section: 5 | 8;
  /** One line, without a full stop. */
  readonly about: string;
  /** The command lines that there are, or where the file is. */
  readonly synopsis: readonly string[];
  readonly sections: readonly ManSection[];
  /** `sanlock(8)` */
  readonly seeAlso: readonly string[];
}

/** What stands below one heading. */
export interface ManSection {
  readonly title: string;
  readonly parts: readonly ManPart[];
}

/** A paragraph; words, each with what it is; command lines; or a heading of the second rank. */
export type ManPart =
  | string
  | { readonly rows: readonly Row[] }
  | { readonly lines: readonly string[] }
  | { readonly heading: string };

/** The text of a page, in the macros of man(7), which groff and mandoc both know. */
export function manText({ name, section, about, synopsis, sections, seeAlso }: ManPage): string {
  const version = `holdfast ${HOLDFAST_VERSION}`;
  const title = [
    '.TH',
    quoted(name.toUpperCase()),
    `${section}`,
    '""',
    quoted(version),
    '"holdfast"',
  ];
  return [
    '.\\" Written by scripts/man-pages.ts: change what it is written from.',
    title.join(' '),
    '.nh', // a path or a command line broken in two could not be copied
    '.ad l',
    '.SH NAME',
    `${escaped(name)} \\- ${escaped(about)}`,
    '.SH SYNOPSIS',
    '.nf',
    ...synopsis.map(textLine),
    '.fi',
    ...sections.flatMap(({ title: own, parts }) => [
      `.SH ${quoted(own)}`,
      ...parts.flatMap((part, index) => partLines(part, isBelowHeading(parts[index - 1]))),
    ]),
    ...(seeAlso.length === 0 ? [] : ['.SH "SEE ALSO"', ...seeAlsoLines(seeAlso)]),
    '',
  ].join('\n');
}

/** Where a paragraph needs no mark of its own. */
function isBelowHeading(before: ManPart | undefined): boolean {
  return before === undefined || (typeof before === 'object' && 'heading' in before);
}

function partLines(part: ManPart, isFirst: boolean): readonly string[] {
  if (typeof part === 'string') return [...(isFirst ? [] : ['.PP']), textLine(part)];
  if ('heading' in part) return [`.SS ${quoted(part.heading)}`];
  if ('lines' in part) {
    return [...(isFirst ? [] : ['.PP']), '.RS 4', '.nf', ...part.lines.map(textLine), '.fi', '.RE'];
  }
  return part.rows.flatMap(([head, about]) => [
    '.TP',
    `.B ${quoted(head)}`,
    textLine(about.replaceAll('\n', ' ')),
  ]);
}

function seeAlsoLines(names: readonly string[]): readonly string[] {
  return names.map((name, index) => {
    const [, page = name, section = ''] = /^(.*)(\(\d\))$/.exec(name) ?? [];
    const comma = index < names.length - 1 ? ',' : '';
    return `.BR ${quoted(page)} ${quoted(`${section}${comma}`)}`;
  });
}

/** Typed as it stands: none of these is a sign of the formatter, or a typographic one. */
const SIGNS: Readonly<Record<string, string>> = {
  '\\': '\\e',
  '-': '\\-',
  "'": '\\(aq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
  '"': '\\(dq',
};

/** Also what is not in ASCII, so that a page is read alike whatever the locale is. */
function escaped(text: string): string {
  return [...text]
    .map((sign) => {
      const code = sign.codePointAt(0) ?? 0;
      if (code > 0x7e) return `\\[u${code.toString(16).toUpperCase().padStart(4, '0')}]`;
      return SIGNS[sign] ?? sign;
    })
    .join('');
}

/** A line that begins with a point would be a request of the formatter. */
function textLine(text: string): string {
  const line = escaped(text);
  return line === '' || /^[. ]/.test(line) ? `\\&${line}` : line;
}

/** The argument of a macro. */
function quoted(text: string): string {
  return `"${escaped(text)}"`;
}

/** `holdfast guard` has the page holdfast-guard(8), with the commands within it. */
export function manOf(page: CommandPage): ManPage {
  const { name, about, text, exits, seeAlso = [], commands = [] } = page;
  const pages = commands.length > 0 ? commands : [page];
  const common = { title: 'DESCRIPTION', parts: text };
  const shows = page.schema === undefined ? [] : [schemaText(page.schema)];
  return {
    ...{ name: name.replaceAll(' ', '-'), section: 8, about },
    synopsis: pages.flatMap(usageOf),
    sections: [
      { ...common, parts: text.length === 0 ? [`${capital(about)}.`] : text },
      ...(commands.length === 0 ? [] : [{ title: 'COMMANDS', parts: commands.flatMap(within) }]),
      { title: 'OPTIONS', parts: [{ rows: optionRows([...page.options, HELP_OPTION]) }, ...shows] },
      { title: 'EXIT STATUS', parts: [{ rows: exitRows(exits) }] },
      { title: 'EXAMPLES', parts: examplesOf(page) },
    ],
    seeAlso: name === 'holdfast' ? seeAlso : ['holdfast(8)', ...seeAlso],
  };
}

function within(page: CommandPage): readonly ManPart[] {
  const { about, text, options, schema, exits } = page;
  return [
    { heading: usageOf(page).join(', ') },
    `${capital(about)}.`,
    ...text,
    ...(options.length === 0 ? [] : [{ rows: optionRows(options) }]),
    ...(schema === undefined ? [] : [schemaText(schema)]),
    `Exit status: ${exitRows(exits)
      .map(([status, what]) => `${status}: ${what}`)
      .join('; ')}.`,
    ...examplesOf(page),
  ];
}

function schemaText(schema: string): string {
  return `With --json it prints the schema ${schema}, which docs/operations/json.md describes.`;
}

function optionRows(options: readonly CommandOption[]): readonly Row[] {
  return options.map((option) => [optionHead(option), `${capital(option.about)}.`]);
}

function exitRows(exits: CommandPage['exits']): readonly Row[] {
  return Object.entries(exits);
}

function examplesOf({ examples }: CommandPage): readonly ManPart[] {
  return examples.flatMap(({ line, about }) => [`${capital(about)}:`, { lines: [line] }]);
}

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
