import { MAX_NAME_BYTES } from '../../wire/sanlock/socket.ts';
import type { CommandLine, OptionLetter } from './command-line.ts';

/**
 * Words that the original silently takes in its own way: a text that is no number counts as 0 or as
 * the digits in front, a name is cut. The command goes on, with the same result (spec 22 §1).
 */
export function questionableWords(action: string, line: CommandLine): readonly string[] {
  return [...cutNames(line), ...noNumbers(action, line), ...noPlace(line)];
}

/** Letters whose word is a number to every action that uses it. */
const NUMBERS: readonly OptionLetter[] = [...'abdfghilmnoptuwHLOPQRSZ'] as OptionLetter[];
const NUMBER = /^[+-]?(0[xX][0-9a-fA-F]+|[0-9]+)$/;

function noNumbers(action: string, line: CommandLine): string[] {
  return NUMBERS.flatMap((letter) => {
    const word = line.words[letter];
    // `status -o p` is an order, not a time.
    if (word === undefined || NUMBER.test(word) || (letter === 'o' && action === 'status'))
      return [];
    const digits = /^\s*[+-]?[0-9]+/.exec(word)?.[0].trim();
    const used = digits === undefined ? 'it counts as 0, or as not given' : `${digits} is used`;
    return [`sanlock: option -${letter}: found ${JSON.stringify(word)}, wanted a number; ${used}`];
  });
}

function cutNames(line: CommandLine): string[] {
  const words = [line.words.s, line.words.x].filter((word) => word !== undefined);
  return words.flatMap((word) => {
    const name = word.split(':')[0] ?? '';
    const bytes = Buffer.byteLength(name);
    if (bytes <= MAX_NAME_BYTES) return [];
    const kept = Buffer.from(name).subarray(0, MAX_NAME_BYTES).toString('utf8');
    return [
      `sanlock: the name ${name} has ${bytes} bytes, at most ${MAX_NAME_BYTES} count: ` +
        `it stands for ${kept}; use a shorter one`,
    ];
  });
}

/** `NAME:HOST_ID:PATH:OFFSET`; escaped colons belong to the path. */
function noPlace(line: CommandLine): string[] {
  const [, hostId = '', , offset = ''] = (line.words.s ?? '').split(/(?<!\\):/);
  const wrong = [
    ...(/^[0-9]*$/.test(hostId) ? [] : [['host id', hostId]]),
    ...(/^([0-9]+M?)?$/.test(offset) ? [] : [['offset', offset]]),
  ];
  return wrong.map(([what, word]) => {
    const wanted = what === 'offset' ? 'bytes, or <n>M' : 'a number';
    return `sanlock: option -s: found ${JSON.stringify(word)} for the ${what}, wanted ${wanted}`;
  });
}
