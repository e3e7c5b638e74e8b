import type { Resource, Token, Want } from './state.ts';

/**
 * The lines that each acquire and release writes, as text: `JSON.stringify` of a whole line takes
 * longer than all else in it.
 */

/** `wants` */
export function wantsText(want: Want): string {
  return `{"kind":"wants",${numbers(want)},${place(want)}}`;
}

/** `lease` */
export function leaseText(resource: Resource): string {
  const { shared, orphaned, lvbWanted, restricted, lastPid } = resource;
  const lver = resource.hold?.lver ?? resource.inheritedLver;
  const tokens = resource.holders.filter(({ isRecorded }) => isRecorded);
  const keeps = tokens.map(({ persistent }) => persistent);
  const persistent = tokens.length === 0 ? orphaned : keeps.includes(true);
  return (
    `{"kind":"lease",${numbers(resource)},${place(resource)},"shared":${shared},"lver":"${lver}",` +
    `"persistent":${persistent},"lvbWanted":${lvbWanted},"restricted":${restricted},` +
    `"lastPid":${lastPid},"holders":[${names(tokens)}],"keeps":[${keeps.join()}]}`
  );
}

/** `given` */
export function givenText(want: Want): string {
  return `{"kind":"given",${numbers(want)}}`;
}

/** `shares` or `drops` */
export function sharerText(kind: 'shares' | 'drops', { client, resource }: Token): string {
  return `{"kind":"${kind}",${numbers(resource)},"holder":"${client.connection}"}`;
}

function numbers({ id, lockspace }: Want): string {
  return `"id":${lockspace.id},"lease":${id}`;
}

function place({ name, path, offset }: Want): string {
  return `"resource":${JSON.stringify(name)},"path":${JSON.stringify(path)},"offset":${offset}`;
}

function names(tokens: readonly Token[]): string {
  return tokens.map(({ client }) => `"${client.connection}"`).join();
}
