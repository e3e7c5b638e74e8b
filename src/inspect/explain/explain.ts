import { ERRNO } from '../../base/errno.ts';
import { LD_RESULT } from '../../wire/lvmlockd/numbers.ts';
import { codeName } from '../../wire/sanlock/codes.ts';
import { KNOWN_MESSAGES, type KnownMessage } from './known-messages.ts';
import { lvmlockdResult } from './lvmlockd-results.ts';
import { explanationOf, sanlockCodeOf } from './sanlock-results.ts';

/** One meaning of a number, a name or a message. */
export interface Meaning {
  /** 'sanlock', 'lvmlockd', 'lvm', 'libvirt', … */
  readonly program: string;
  /** 'LEADER_MAGIC (-223)', or as the program prints the message. */
  readonly what: string;
  readonly found: string;
  readonly todo: string;
}

/** Longer words are cut: a message is known by a short part of it. */
const MAX_WORDS = 4096;

/**
 * What a number (`-223`, also without its sign), the name of a result (`LEADER_MAGIC`, `EAGAIN`) or
 * a message of sanlock, lvmlockd, lvm, libvirt, wdmd or the kernel means. Of a message also the
 * number within it. The same number is one thing to sanlock, and another to lvmlockd and lvm.
 * @returns none: it is not known
 */
export function meaningsOf(words: string): readonly Meaning[] {
  const text = words.slice(0, MAX_WORDS).trim();
  if (/^[-\u2212]?\d{1,5}$/.test(text)) return ofNumber(Number(text.replace(/^[-\u2212]/, '')));
  const named = ofName(text);
  if (named.length > 0) return named;
  const known = KNOWN_MESSAGES.find(({ pattern }) => pattern.test(text));
  const number = known?.isWithoutResult === true ? undefined : resultIn(text);
  return [
    ...(known === undefined ? [] : [{ ...known, what: known.example }]),
    ...(number === undefined ? [] : ofNumber(Number(number), programOf(text, known?.program))),
  ].map(({ program, what, found, todo }) => ({ program, what, found, todo }));
}

/** Without its sign. */
function resultIn(text: string): string | undefined {
  return /(?:^|[^\w.:/-])[-\u2212](\d{1,3})\b/.exec(text)?.[1];
}

function ofNumber(positive: number, only: string | null = null): readonly Meaning[] {
  const code = -positive;
  const meanings: Meaning[] = [];
  if (codeName(code) !== `code ${code}`) {
    const what = `${codeName(code)} (${code})`;
    const { found, todo } = explanationOf(code, { action: '', unreached: false });
    meanings.push({ program: 'sanlock', what, found, todo });
  }
  const result = code === 0 ? null : lvmlockdResult(code);
  if (result !== null) {
    const { name, found, todo } = result;
    meanings.push({ program: 'lvmlockd', what: `${name} (${code})`, found, todo });
  }
  return only === null ? meanings : meanings.filter(({ program }) => program === only);
}

/**
 * lvm prints lvmlockd's numbers, and libvirt, sanlock, and lvmlockd where it has asked sanlock,
 * those of sanlock; null: either.
 */
function programOf(text: string, saidBy: KnownMessage['program'] | undefined): string | null {
  if (saidBy === 'sanlock' || /_san\b|\w_lockspace\b/.test(text)) return 'sanlock';
  if (/global lock|VG |LV |lvmlockd/i.test(text)) return 'lvmlockd';
  return /sanlock|lease\.|lockspace/.test(text) ? 'sanlock' : null;
}

function ofName(text: string): readonly Meaning[] {
  const name = text.toUpperCase().replace(/^SANLK_/, '');
  const code = sanlockCodeOf(name);
  if (code !== undefined) return ofNumber(-code, name in ERRNO ? null : 'sanlock');
  const result = Object.entries(LD_RESULT).find(([key]) => key === name)?.[1];
  return result === undefined ? [] : ofNumber(-result, 'lvmlockd');
}
