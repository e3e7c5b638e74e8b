import { type ByteString, textToName } from '../../base/bytes.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { MIB } from '../../base/units.ts';
import {
  parseLockspace,
  parseResource,
  parseU64,
  splitEscaped,
} from '../../wire/sanlock/strings.ts';
import {
  type Lockspace,
  type Rentry,
  type Resource,
  type Rindex,
  sizeFlags,
} from '../../wire/sanlock/types.ts';

const LETTERS = 'abdefghilmnopstuwxzAFGHLOPQRSUZ';

type Letters<Text extends string> = Text extends `${infer First}${infer Rest}`
  ? First | Letters<Rest>
  : never;

/** An option letter that takes a word; a repeated one keeps its last word. */
export type OptionLetter = Letters<typeof LETTERS>;

export const MAX_RESOURCE_ARGS = 8;

/** What stands after `sanlock <command> <action>` (spec 22 §1). */
export interface CommandLine {
  readonly debug: boolean;
  /** The words as given. */
  readonly words: Readonly<Partial<Record<OptionLetter, string>>>;
  readonly resources: readonly Resource[];
  /** `-c path args…`; null when absent. */
  readonly command: readonly string[] | null;
  /** What was wrong but does not end the program, to be printed first. */
  readonly complaints: readonly string[];
}

/** An option is a dash and a letter, its value the next word. The failure is the text to print. */
export function parseCommandLine(args: readonly string[]): Result<CommandLine, string> {
  const words: Partial<Record<OptionLetter, string>> = {};
  const resources: Resource[] = [];
  const complaints: string[] = [];
  let debug = false;
  let command: readonly string[] | null = null;

  for (let at = 0; at < args.length; at++) {
    const option = args[at] ?? '';
    if (!/^-.$/s.test(option)) {
      return fail(`unknown option ${option}\nspace required before option value\n`);
    }
    const letter = option.slice(1);
    if (letter === 'D') {
      debug = true;
      continue;
    }
    at += 1;
    const word = args[at];
    if (word === undefined) return fail(`option '${letter}' requires arg\n`);
    if (letter === 'c') {
      command = args.slice(at);
      break;
    }
    if (letter === 'r') addResource(word, resources, complaints);
    else if (isLetter(letter)) words[letter] = word;
    else return fail(`unknown option: ${letter}\n`);
  }
  return ok({ debug, words, resources, command, complaints });
}

function isLetter(letter: string): letter is OptionLetter {
  return LETTERS.includes(letter);
}

function addResource(word: string, resources: Resource[], complaints: string[]): void {
  if (resources.length >= MAX_RESOURCE_ARGS) {
    complaints.push(`resource args over max ${MAX_RESOURCE_ARGS}\n`);
    return;
  }
  const parsed = parseResource(expandMebibytes(textToName(word), 3));
  if (parsed.ok) resources.push(parsed.value);
  else complaints.push(`resource arg parse error ${parsed.error}\n\n`);
}

/**
 * `<n>M` in the offset's place means mebibytes, whatever follows the M there. The place is found by
 * counting plain colons, and without digits before the M nothing changes.
 */
function expandMebibytes(text: ByteString, offsetPart: number): ByteString {
  const parts = text.split(':');
  const mebibytes = /^([0-9]+)M/.exec(parts[offsetPart] ?? '')?.[1];
  if (mebibytes === undefined) return text;
  parts[offsetPart] = `${BigInt(mebibytes) * BigInt(MIB)}`;
  return parts.join(':');
}

/** C's atoi: the leading whole number, or 0. */
export function atoi(word: string | undefined): number {
  return Number(/^\s*[+-]?[0-9]+/.exec(word ?? '')?.[0] ?? 0) | 0;
}

/** −d −e −i −f −g: decimal, octal or 0x; absent is 0. */
export function u64Option(line: CommandLine, letter: OptionLetter): bigint {
  return parseU64(line.words[letter] ?? '');
}

export function lockspaceOption(line: CommandLine): Lockspace {
  const parsed = parseLockspace(expandMebibytes(textToName(line.words.s ?? ''), 3));
  return { ...parsed, flags: flagsOf(line) };
}

/** The first -r, with the explicit sizes; an empty one when there is none. */
export function resourceOption(line: CommandLine): Resource {
  const none = { lockspaceName: '', name: '', disks: [], lver: 0n, flags: 0 };
  const resource = line.resources[0] ?? none;
  return { ...resource, flags: resource.flags | flagsOf(line) };
}

export function rindexOption(line: CommandLine): Rindex {
  const parts = splitEscaped(expandMebibytes(textToName(line.words.x ?? ''), 2));
  return {
    lockspaceName: parts[0] ?? '',
    path: parts[1] ?? '',
    offset: parseU64(parts[2] ?? ''),
    flags: flagsOf(line),
  };
}

/** `name[:offset]` or `:offset`. */
export function rentryOption(line: CommandLine): Rentry {
  const parts = splitEscaped(expandMebibytes(textToName(line.words.e ?? ''), 1));
  return { name: parts[0] ?? '', offset: parseU64(parts[1] ?? '') };
}

/** -o as seconds; absent and 0 mean 10. */
export function ioTimeoutOption(line: CommandLine): number {
  return atoi(line.words.o) || 10;
}

/** Sector and area size as given; 0 where not given. */
export function sizesOption(line: CommandLine): { sectorSize: number; areaMib: number } {
  const areaMib = /^[1248]M$/.test(line.words.A ?? '') ? atoi(line.words.A) : 0;
  return { sectorSize: atoi(line.words.Z), areaMib };
}

const LEGAL_SIZES = ['512/1', '4096/1', '4096/2', '4096/4', '4096/8'];

/** null when the sizes may be used together; else the text to print. */
export function sizesComplaint(line: CommandLine): string | null {
  const { sectorSize, areaMib } = sizesOption(line);
  // Without an area size nothing is complained about; 512 and 4096 are then refused where used.
  if (areaMib === 0) return null;
  if (LEGAL_SIZES.includes(`${sectorSize}/${areaMib}`)) return null;
  return (
    `Invalid sector_size/align_size combination (${sectorSize}/${areaMib * MIB})\n` +
    'Use one of: 512/1M, 4096/1M, 4096/2M, 4096/4M, 4096/8M.\n'
  );
}

/** A sector size that means something, without an area size: refused wherever sizes count. */
export function hasHalfSizes(line: CommandLine): boolean {
  const { sectorSize, areaMib } = sizesOption(line);
  return areaMib === 0 && (sectorSize === 512 || sectorSize === 4096);
}

function flagsOf(line: CommandLine): number {
  const { sectorSize, areaMib } = sizesOption(line);
  return sizeFlags({ sectorSize, areaMib });
}
