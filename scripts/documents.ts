import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

/** What the documents refer to: other documents, chapters of them, and command lines. */

/** A document by its path from the folder of the project. */
export interface Document {
  readonly path: string;
  readonly lines: readonly DocumentLine[];
}

interface DocumentLine {
  readonly number: number;
  readonly text: string;
  /** Whether it stands in a block of code, by fences or by four blanks. */
  readonly isCode: boolean;
}

/** Something that a document names, and where. */
export interface Named {
  readonly place: string;
  readonly name: string;
}

const FOLDERS = ['docs', 'bench', 'examples', 'packaging'];

/** Every document of the project. @param root its folder */
export function documents(root: string): readonly Document[] {
  const own = readdirSync(root).filter((name) => name.endsWith('.md'));
  const below = FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  );
  return [...own, ...below].map((path) =>
    readDocument(path, readFileSync(join(root, path), 'utf8')),
  );
}

/** @param path from the folder of the project */
export function readDocument(path: string, text: string): Document {
  let isFenced = false;
  let isAfterText = false;
  const lines = text.split('\n').map((line, index): DocumentLine => {
    const isFence = /^\s*```/.test(line);
    if (isFence) isFenced = !isFenced;
    const isIndented = /^ {4,}\S/.test(line) && !isAfterText;
    const isCode = isFenced || isIndented;
    if (line.trim() === '') isAfterText = false;
    else if (!isCode) isAfterText = true;
    return { number: index + 1, text: line, isCode: isCode && !isFence };
  });
  return { path, lines };
}

/** The name by which a link reaches a chapter, as the readers of Markdown make it of its heading. */
export function anchorOf(heading: string): string {
  return heading
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
    .replaceAll(' ', '-');
}

/** Of two chapters with one heading the second has a number behind. */
export function anchorsIn({ lines }: Document): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const { text, isCode } of lines) {
    const heading = isCode ? null : /^#{1,6} +(.*?) *#*$/.exec(text);
    if (heading === null) continue;
    const first = anchorOf(heading[1] ?? '');
    let anchor = first;
    for (let again = 1; anchors.has(anchor); again++) anchor = `${first}-${again}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** The links to files and chapters of this project; those into the web are not looked at. */
export function linksIn({ path, lines }: Document): readonly Named[] {
  return lines.flatMap(({ number, text, isCode }) =>
    isCode
      ? []
      : [...text.replace(/`[^`]*`/g, '``').matchAll(/\]\(([^)\s]+)\)/g)]
          .map(([, name = '']) => ({ place: `${path}:${number}`, name }))
          .filter(({ name }) => !/^[a-z]+:/.test(name)),
  );
}

/** Where a link leads: the path from the folder of the project, and the chapter, '' for the whole. */
export function targetOf(
  from: string,
  link: string,
): { readonly path: string; readonly anchor: string } {
  const [file = '', anchor = ''] = link.split('#');
  const path = file === '' ? from : normalize(join(dirname(from), file));
  return { path: path.replace(/\/$/, ''), anchor };
}

/** The texts between backquotes. */
export function codeSpansIn({ path, lines }: Document): readonly Named[] {
  return lines.flatMap(({ number, text, isCode }) =>
    isCode
      ? []
      : [...text.matchAll(/`([^`]+)`/g)].map(([, name = '']) => ({
          place: `${path}:${number}`,
          name,
        })),
  );
}

/** `alpha# `, `# `, `$ ` before a command, as a terminal shows it. */
const PROMPT = /^ *(?:(?:[\w.-]*[#$]|sudo) +)?/;

/** The lines of blocks that call a program, from its name on, without comments behind. */
export function commandLinesIn({ path, lines }: Document, program: string): readonly Named[] {
  return lines.flatMap(({ number, text, isCode }) => {
    if (!isCode) return [];
    const line = text
      .replace(PROMPT, '')
      .replace(/\s+#\s.*$/, '')
      .trimEnd();
    const isCall = line.startsWith(`${program} `) && !new RegExp(`^${program} [a-z ]+:`).test(line);
    return isCall ? [{ place: `${path}:${number}`, name: line }] : [];
  });
}
