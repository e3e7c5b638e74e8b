import { type CommandOption, type CommandPage, HELP_OPTION, type Operand, wordOf } from './page.ts';
import type { Row } from './rows.ts';

/** What a shell completes a program with, whatever the shell. */
export interface Completion {
  readonly program: string;
  /** By the words that lead there, of commands alone: '' is the program itself. */
  readonly nodes: ReadonlyMap<string, CompletionNode>;
}

/** What may stand behind the words that lead there. */
export interface CompletionNode {
  readonly commands: readonly Row[];
  readonly options: readonly CompletedOption[];
  /** Of words that are neither; null: nothing is offered. */
  readonly operands: Operand | null;
}

export interface CompletedOption {
  /** With their dashes. */
  readonly names: readonly string[];
  /** Of its value; null: it has none. */
  readonly value: Operand | null;
  readonly about: string;
}

/** Of `holdfast`, from the pages of its commands. */
export function completionOfCommands(program: string, pages: readonly CommandPage[]): Completion {
  const nodes = new Map<string, CompletionNode>();
  const own: CompletedOption[] = [
    { names: ['--help', '-h'], value: null, about: 'what commands there are' },
    { names: ['--version', '-V'], value: null, about: 'the version' },
  ];
  const commands = pages.map(rowOf);
  const help = ['help', 'how a command is used'] as const;
  nodes.set('', {
    commands: [...commands, help, ['version', 'the version']],
    options: own,
    operands: null,
  });
  nodes.set('help', { commands, options: [], operands: null });
  for (const page of pages) {
    nodes.set(wordOf(page), nodeOf(page));
    for (const inner of page.commands ?? []) {
      nodes.set(`${wordOf(page)} ${wordOf(inner)}`, nodeOf(inner));
    }
  }
  return { program, nodes };
}

function rowOf(page: CommandPage): Row {
  return [wordOf(page), page.about];
}

function nodeOf({ options, operands, commands = [] }: CommandPage): CompletionNode {
  return {
    commands: commands.map(rowOf),
    options: [...options, HELP_OPTION].map(optionOf),
    operands: commands.length > 0 ? null : (operands ?? null),
  };
}

function optionOf({ name, short, value, operand, about }: CommandOption): CompletedOption {
  const names = [`--${name}`, ...(short === undefined ? [] : [`-${short}`])];
  return { names, value: value === undefined ? null : (operand ?? 'text'), about };
}

/** Of a program with options alone, from the rows of its help. */
export function completionOfRows(
  program: string,
  rows: readonly Row[],
  operands: Operand | null = null,
): Completion {
  const node: CompletionNode = { commands: [], options: optionsOf(rows), operands };
  return { program, nodes: new Map([['', node]]) };
}

/** `--wait | -w 0|1`, `--dump, -d`, `-o off`: rows that begin with one option are that option. */
export function optionsOf(rows: readonly Row[]): readonly CompletedOption[] {
  const found = new Map<string, CompletedOption>();
  for (const [head, about] of rows) {
    for (const option of inHead(head, about)) {
      const [name = ''] = option.names;
      const earlier = found.get(name);
      found.set(name, earlier === undefined ? option : merged(earlier, option));
    }
  }
  return [...found.values()];
}

function merged(one: CompletedOption, other: CompletedOption): CompletedOption {
  const words = [one.value, other.value].flatMap((value) => (isWords(value) ? value : []));
  return words.length === 0 ? one : { ...one, value: words };
}

function isWords(value: Operand | null): value is readonly string[] {
  return Array.isArray(value);
}

function inHead(head: string, about: string): readonly CompletedOption[] {
  const options: { names: string[]; value: Operand | null; about: string }[] = [];
  let before = '';
  for (const word of head.replace(/[[\]]/g, ' ').match(/[^\s,]+|,/g) ?? []) {
    const last = options.at(-1);
    if (word.startsWith('-')) {
      // `--dump, -d` is one option, and so is `--wait | -w 0|1`; `--help | -h, --version` are two.
      const isSame = /^[|,]$/.test(before) && last?.names.length === 1 && last.value === null;
      if (isSame) last.names.push(word);
      else options.push({ names: [word], value: null, about });
    } else if (last !== undefined && before.startsWith('-') && !/^[|,]$/.test(word)) {
      last.value = operandOf(word);
    }
    before = word;
  }
  return options;
}

const PLACES: Readonly<Record<string, Operand>> = {
  PATH: 'file',
  '<path>': 'file',
  VGNAME: 'vg',
  LOCKSPACE: 'lockspace',
};

/** `0|1` are those words, `PATH` is a file, and a small word is itself. */
function operandOf(value: string): Operand {
  if (/^[\w.]+(\|[\w.]+)+$/.test(value)) return value.split('|');
  return PLACES[value] ?? (/^[a-z_]+$/.test(value) ? [value] : 'text');
}
