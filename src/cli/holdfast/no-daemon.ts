import { nearest } from '../../base/nearest.ts';
import { shown } from '../../base/plain-text.ts';
import { DAEMONS } from '../../inspect/restart/host-facts.ts';

const MAX_SHOWN = 80;

/** What is said of a word that names none of the daemons. */
export function noDaemon(word: string): string {
  const meant = nearest(word, DAEMONS);
  const hint = meant === null ? '' : `: did you mean ${meant}?`;
  return `"${shown(word, MAX_SHOWN)}" is none of the daemons ${DAEMONS.join(', ')}${hint}`;
}
