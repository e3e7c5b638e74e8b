import { SaxesParser } from 'saxes';
import { fail, ok, type Result } from '../base/result.ts';
import { MIB } from '../base/units.ts';

/** As much as libvirt itself sends in one string; in characters. */
const MAX_CHARACTERS = 4 * MIB;
const MAX_ELEMENTS = 100_000;
/** A chain of 200 backing images, libvirt's longest, is as deep as it is long. */
const MAX_DEPTH = 256;
const MAX_REASON = 200;

export interface XmlElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** All text directly in it. */
  readonly text: string;
}

interface Open {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: XmlElement[];
  text: string;
}

/**
 * Reads a document into a tree. A document type declaration is refused: what it could define
 * (entities, default attributes) is never needed, and is how a small document becomes a large one.
 * @returns the root, or why this is no document, in half a sentence
 */
export function parseXml(text: string): Result<XmlElement, string> {
  if (text.length > MAX_CHARACTERS) {
    return fail(`it has ${text.length} characters, more than ${MAX_CHARACTERS}`);
  }
  try {
    return ok(treeOf(text));
  } catch (error) {
    if (error instanceof NoDocument) return fail(error.message);
    throw error;
  }
}

class NoDocument extends Error {}

function treeOf(text: string): XmlElement {
  const parser = new SaxesParser();
  const path: Open[] = [];
  let root: XmlElement | null = null;
  let elements = 0;
  const refuse = (reason: string): never => {
    throw new NoDocument(`${reason} (line ${parser.line}, column ${parser.column})`);
  };
  parser.on('error', (error) => {
    // It may quote a name of any length.
    const reason = error.message.replace(/^\d+:\d+: /, (at) => `at ${at}`);
    throw new NoDocument(reason.length > MAX_REASON ? `${reason.slice(0, MAX_REASON)}…` : reason);
  });
  parser.on('doctype', () => refuse('it has a document type declaration'));
  let tagBegins = 0;
  parser.on('opentagstart', () => {
    tagBegins = parser.position;
  });
  parser.on('opentag', ({ name, attributes }) => {
    // XML takes them for blanks, and the path that libvirt means would become another one.
    if (/[\n\r\t]/.test(text.slice(tagBegins, parser.position))) {
      refuse('a tag has a line break or a tab within');
    }
    if (++elements > MAX_ELEMENTS) refuse(`it has more than ${MAX_ELEMENTS} elements`);
    if (path.length === MAX_DEPTH) refuse(`its elements are nested more than ${MAX_DEPTH} deep`);
    path.push({ name, attributes: new Map(Object.entries(attributes)), children: [], text: '' });
  });
  const addText = (more: string): void => {
    const open = path.at(-1);
    if (open !== undefined) open.text += more;
  };
  parser.on('text', addText);
  parser.on('cdata', addText);
  parser.on('closetag', () => {
    const closed = path.pop();
    if (closed === undefined) return;
    const parent = path.at(-1);
    if (parent === undefined) root = closed;
    else parent.children.push(closed);
  });
  parser.write(text).close();
  return root ?? refuse('it has no element');
}

/** The first child of that name. */
export function child(element: XmlElement, name: string): XmlElement | null {
  return element.children.find((one) => one.name === name) ?? null;
}

/** The children of that name. */
export function children(element: XmlElement, name: string): readonly XmlElement[] {
  return element.children.filter((one) => one.name === name);
}

/** The first element at the end of the path of names, each a child of the one before. */
export function descend(element: XmlElement, ...names: readonly string[]): XmlElement | null {
  let at: XmlElement | null = element;
  for (const name of names) at = at === null ? null : child(at, name);
  return at;
}

/** null: it has none. An attribute may be empty. */
export function attribute(element: XmlElement | null, name: string): string | null {
  return element?.attributes.get(name) ?? null;
}
