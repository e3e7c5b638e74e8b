import type { Meaning } from './explain.ts';

const EVENT = /^[a-z][A-Za-z]*\.[a-z][A-Za-z]*$/;

/**
 * What the page of events says of one.
 * @param page the text of docs/operations/events.md: tables of event, level, meaning and action
 * @param name 'lease.refused', also as the first word of a log line
 * @returns none: it is no event; several: programs have one of that name each
 */
export function eventMeanings(page: string, name: string): readonly Meaning[] {
  const wanted = name.split(/\s+/).find((word) => EVENT.test(word));
  if (wanted === undefined) return [];
  return page.split('\n').flatMap((line) => {
    const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    const [, events = '', level = '', found = '', todo = ''] = cells;
    if (!events.split(', ').includes(`\`${wanted}\``)) return [];
    const what = `event ${wanted} (${level})`;
    return [{ program: 'holdfast', what, found, todo: todo === '–' ? 'nothing' : todo }];
  });
}
