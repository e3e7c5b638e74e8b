import { parseArgs } from 'node:util';
import { nearest } from '../../base/nearest.ts';
import { shown } from '../../base/plain-text.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { type CommandOption, type CommandPage, wordOf } from './page.ts';

/** What a user typed behind a command's name, of the options that its page has. */
export interface Words<Name extends string = string> {
  readonly operands: readonly string[];
  /** Whether an option without a value was given. */
  has(name: Name): boolean;
  /** The value of an option, the last if it was given again; null: it was not given. */
  value(name: Name): string | null;
  /** All values of an option, in their order. */
  values(name: Name): readonly string[];
}

type NameIn<Page extends CommandPage> = Page['options'][number]['name'];

const MAX_SHOWN = 80;

/**
 * Reads the words by the page of the command. @returns a sentence: what is wrong with them, and
 * what was meant, as far as that can be seen.
 */
export function readWords<const Page extends CommandPage>(
  page: Page,
  args: readonly string[],
): Result<Words<NameIn<Page>>, string> {
  const { options, hasNumbers } = page;
  const protectedArgs = hasNumbers === true ? withNumbersAsOperands(args) : [...args];
  const { tokens } = parseArgs({
    args: protectedArgs,
    options: Object.fromEntries(options.map((option) => [option.name, configOf(option)])),
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  const operands: string[] = [];
  const given = new Map<string, string[]>();
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(unprotected(token.value));
    if (token.kind !== 'option') continue;
    const option = options.find(({ name }) => name === token.name);
    if (option === undefined) return fail(unknownOption(page, token.rawName));
    const wrong = wrongValue(option, token, given);
    if (wrong !== null) return fail(wrong);
    given.set(option.name, [...(given.get(option.name) ?? []), token.value ?? '']);
  }
  const wrong = wrongCount(page, operands);
  if (wrong !== null) return fail(wrong);
  return ok({
    operands,
    has: (name) => given.has(name),
    value: (name) => given.get(name)?.at(-1) ?? null,
    values: (name) => given.get(name) ?? [],
  });
}

/** A command within another one, and the words behind it. */
export interface WithinWords {
  readonly word: string;
  readonly page: CommandPage;
  readonly rest: readonly string[];
}

/** Which command of the page is meant. @returns a sentence: why none of them is */
export function readCommand(
  { name, commands = [] }: CommandPage,
  args: readonly string[],
): Result<WithinWords, string> {
  const [word = '', ...rest] = args;
  const page = commands.find((command) => wordOf(command) === word);
  if (page !== undefined) return ok({ word, page, rest });
  const words = commands.map(wordOf);
  if (word === '') return fail(`it wants one of its commands: ${words.join(', ')}`);
  const meant = nearest(word, words);
  const hint = meant === null ? `${name} --help lists them` : `did you mean ${name} ${meant}?`;
  return fail(`there is no command "${shown(word, MAX_SHOWN)}": ${hint}`);
}

function configOf({ value, short }: CommandOption) {
  const type = value === undefined ? ('boolean' as const) : ('string' as const);
  return short === undefined ? { type } : { type, short };
}

/** No user types it; it keeps a number with its sign from being read as letters of options. */
const NUMBER_MARK = '\0';

function withNumbersAsOperands(args: readonly string[]): string[] {
  return args.map((word) => (/^[-\u2212]\d/.test(word) ? `${NUMBER_MARK}${word}` : word));
}

function unprotected(word: string): string {
  return word.startsWith(NUMBER_MARK) ? word.slice(NUMBER_MARK.length) : word;
}

function unknownOption({ name, options }: CommandPage, rawName: string): string {
  const found = shown(rawName, MAX_SHOWN);
  const names = [...options.map((option) => option.name), 'help'];
  const meant = nearest(rawName.replace(/^-+/, ''), names);
  const hint = meant === null ? `${name} --help lists them` : `did you mean --${meant}?`;
  return `there is no option ${found}: ${hint}`;
}

interface OptionToken {
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

function wrongValue(
  option: CommandOption,
  { rawName, value, inlineValue }: OptionToken,
  given: ReadonlyMap<string, readonly string[]>,
): string | null {
  if (option.value === undefined) {
    return value === undefined
      ? null
      : `${rawName} has no value, "${shown(value, MAX_SHOWN)}" is one`;
  }
  const isMissing = value === undefined || (inlineValue === false && value.startsWith('-'));
  if (isMissing) return `${rawName} wants ${option.value} behind it`;
  const isAgain = given.has(option.name) && option.isRepeated !== true;
  return isAgain ? `${rawName} is given twice` : null;
}

function wrongCount(
  { name, counts, forms }: CommandPage,
  operands: readonly string[],
): string | null {
  const { least, most } = counts ?? { least: 0, most: 0 };
  const extra = operands[most];
  if (extra !== undefined) return `"${shown(extra, MAX_SHOWN)}" is a word too much`;
  if (operands.length >= least) return null;
  return `a word is missing: ${name} ${forms[0] ?? ''}`.trim();
}
