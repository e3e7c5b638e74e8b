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
  const { shared, persistent, lvbWanted, restricted, lastPid } = resource;
  const lver = resource.hold?.lver ?? resource.inheritedLver;
  return (
    `{"kind":"lease",${numbers(resource)},${place(resource)},"shared":${shared},"lver":"${lver}",` +
    `"persistent":${persistent},"lvbWanted":${lvbWanted},"restricted":${restricted},` +
    `"lastPid":${lastPid},"holders":[${holders(resource)}]}`
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

function holders({ holders: tokens }: Resource): string {
  let text = '';
  for (const { client, isRecorded } of tokens) {
    if (isRecorded) text += `${text === '' ? '' : ','}"${client.connection}"`;
  }
  return text;
}
