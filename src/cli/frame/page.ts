/**
 * What a command is, as data: from one page come what it understands (`words.ts`), its `--help`
 * (`help.ts`), its man page and its completion.
 */
export interface CommandPage {
  /** As it is typed: `holdfast who`. */
  readonly name: string;
  /** One line, without a full stop: for lists of commands. */
  readonly about: string;
  /** What may follow the name, a line for each form, without the options: `VG/LV`. */
  readonly forms: readonly string[];
  /** What a word that is no option names, for completion. */
  readonly operands?: Operand;
  /** How many words that are no options it takes at least, and at most; 0 and 0 if not given. */
  readonly counts?: { readonly least: number; readonly most: number };
  /** A word like `-223` is a number, and no option. */
  readonly hasNumbers?: true;
  readonly options: readonly CommandOption[];
  /** Paragraphs that explain it. */
  readonly text: readonly string[];
  readonly examples: readonly Example[];
  /** Every exit status, with what it says. */
  readonly exits: Readonly<Record<number, string>>;
  /** `holdfast.who/1`: the schema of what --json prints (docs/operations/json.md). */
  readonly schema?: string;
  /** Other pages: `sanlock(8)`, `holdfast-doctor(8)`. */
  readonly seeAlso?: readonly string[];
  /** Commands within it, one of which its first word names: `holdfast guard install`. */
  readonly commands?: readonly CommandPage[];
}

/** The last word of a page's name: `install`. */
export function wordOf({ name }: CommandPage): string {
  return name.slice(name.lastIndexOf(' ') + 1);
}

/** The page that the words behind a command are about: its own, or that of a command within it. */
export function pageFor(page: CommandPage, args: readonly string[]): CommandPage {
  const word = args.find((arg) => !arg.startsWith('-'));
  return page.commands?.find((own) => wordOf(own) === word) ?? page;
}

/** What a word names; a list: one of those words. */
export type Operand =
  | 'file'
  | 'device'
  | 'vg'
  | 'lv'
  | 'guest'
  | 'lockspace'
  | 'daemon'
  | 'text'
  | readonly string[];

export interface CommandOption {
  /** Without its dashes. */
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  /** How the value is called in the help, in capitals; absent: the option has none. */
  readonly value?: string;
  readonly operand?: Operand;
  /** It may be given more than once. */
  readonly isRepeated?: true;
  readonly about: string;
}

export interface Example {
  /** The whole command line. */
  readonly line: string;
  readonly about: string;
}

/** Options that several commands have, so that they read alike. */
export const JSON_OPTION = { name: 'json', about: 'for programs: print JSON' } as const;
export const WATCH_OPTION = {
  name: 'watch',
  about: 'go on until Ctrl-C, and show what changes',
} as const;
export const HELP_OPTION = { name: 'help', short: 'h', about: 'this text' } as const;
