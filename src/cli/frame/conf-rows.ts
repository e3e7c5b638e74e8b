import type { ManPage } from './man.ts';
import type { Row } from './rows.ts';

/** A file of settings that explains itself: its paragraphs, and each key with what is said of it. */
export interface ConfText {
  readonly paragraphs: readonly string[];
  /** `io_timeout = 10`, and what stands above it. */
  readonly rows: readonly Row[];
}

const KEY = /^[a-z_]+ = \S.*$/;

/** Of a file whose comments explain each key, and whose keys are comments themselves. */
export function readConf(text: string): ConfText {
  const blocks = text
    .trim()
    .split(/\n\s*\n/)
    .map((block) => block.split('\n').map((line) => line.replace(/^# ?/, '').trim()));
  const isOfKeys = (lines: readonly string[]) => lines.some((line) => KEY.test(line));
  return {
    paragraphs: blocks.filter((lines) => !isOfKeys(lines)).map((lines) => lines.join(' ')),
    rows: blocks.filter(isOfKeys).flatMap((lines) => {
      const said = lines.filter((line) => !KEY.test(line)).join(' ');
      return lines.filter((line) => KEY.test(line)).map((line): Row => [line, said]);
    }),
  };
}

/** The page of a file that begins with its path: from the example that explains every key. */
export function confMan(
  { name, about, seeAlso }: Pick<ManPage, 'name' | 'about' | 'seeAlso'>,
  example: string,
  more: readonly string[],
): ManPage {
  const { paragraphs, rows } = readConf(example);
  const [first = '', ...rest] = paragraphs;
  const path = /^\S+(?=: )/.exec(first)?.[0] ?? '';
  const said = first.slice(path.length + 2).replace(/^./, (sign) => sign.toUpperCase());
  return {
    ...{ name, about, seeAlso, section: 5, synopsis: [path] },
    sections: [
      { title: 'DESCRIPTION', parts: [said, ...rest, ...more] },
      { title: 'KEYS', parts: [{ rows }] },
    ],
  };
}
