import { type CommandOption, type CommandPage, HELP_OPTION, wordOf } from './page.ts';

const WIDTH = 80;
const MARGIN = '    ';

/** What `--help` prints: at most 80 columns wide. */
export function helpText(page: CommandPage): string {
  const { about, text, examples, exits, schema } = page;
  const { commands = [] } = page;
  const usage = commands.length > 0 ? commands.flatMap(usageOf) : usageOf(page);
  const sections = [
    usage.map((line, n) => `${n === 0 ? 'Usage: ' : '       '}${line}\n`).join(''),
    wrapped(`${capital(about)}.`, ''),
    ...text.map((paragraph) => wrapped(paragraph, '')),
    ...(commands.length === 0
      ? []
      : [`Commands:\n${listText(commands.map((own) => [wordOf(own), own.about]))}`]),
    `Options:\n${optionsText([...page.options, HELP_OPTION])}`,
    ...(schema === undefined
      ? []
      : [wrapped(`--json prints the schema ${schema}, described in docs/operations/json.md.`, '')]),
    ...(examples.length === 0 ? [] : [`Examples:\n${examples.map(exampleText).join('')}`]),
    `Exit status:\n${exitsText(exits)}`,
  ];
  return sections.join('\n');
}

/** What stderr shows of words that a command does not understand. */
export function mistakeText({ name }: CommandPage, wrong: string): string {
  return `${name}: ${wrong}\n${wrong.includes('--help') ? '' : `(${name} --help shows what it takes)\n`}`;
}

/** `holdfast guard check [options] [GUEST]`, a line for each form. */
export function usageOf({ name, forms, options }: CommandPage): readonly string[] {
  const command = options.length === 0 ? name : `${name} [options]`;
  return (forms.length === 0 ? [''] : forms).map((form) => `${command} ${form}`.trimEnd());
}

/** `-h, --help`, `--offset BYTES` */
export function optionHead({ name, short, value }: CommandOption): string {
  const letter = short === undefined ? '' : `-${short}, `;
  return `${letter}--${name}${value === undefined ? '' : ` ${value}`}`;
}

function optionsText(options: readonly CommandOption[]): string {
  const widest = Math.min(24, Math.max(...options.map((option) => optionHead(option).length)));
  return options
    .map((option) => beside(`  ${optionHead(option)}`, option.about, widest + 4))
    .join('');
}

/** Names, and beside each what it is: `  check    what is wrong with this host`. */
export function listText(rows: readonly (readonly [name: string, about: string])[]): string {
  const widest = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, about]) => beside(`  ${name}`, about, widest + 4)).join('');
}

function exampleText({ line, about }: { readonly line: string; readonly about: string }): string {
  return `  ${line}\n${wrapped(about, MARGIN.concat(MARGIN))}`;
}

function exitsText(exits: CommandPage['exits']): string {
  return Object.entries(exits)
    .map(([status, about]) => beside(`  ${status}`, about, 5))
    .join('');
}

/** A heading, and a text in lines beside it; below it, where the heading is too long. */
function beside(heading: string, text: string, column: number): string {
  const lines = linesOf(text, WIDTH - column);
  const margin = ' '.repeat(column);
  if (heading.length + 1 > column) {
    return `${heading}\n${lines.map((line) => `${margin}${line}\n`).join('')}`;
  }
  return lines.map((line, n) => `${n === 0 ? heading.padEnd(column) : margin}${line}\n`).join('');
}

/** The text in lines of at most 80 columns, each behind the margin. */
export function wrapped(text: string, margin: string): string {
  return linesOf(text, WIDTH - margin.length)
    .map((line) => `${margin}${line}\n`)
    .join('');
}

/** In lines of that width, cut at blanks, and a longer word where the line ends. */
export function linesOf(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  const pieces = text
    .split(' ')
    .flatMap((word) => word.match(new RegExp(`.{1,${width}}`, 'gsu')) ?? '');
  for (const word of pieces) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
