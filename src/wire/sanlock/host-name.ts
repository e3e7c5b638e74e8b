/**
 * sanlock's name of a host is its node's name behind an id that is made at each start, unless it is
 * configured: one with the same node's name is an earlier start of this host.
 */
export function isSameNode(hostName: string, other: string): boolean {
  return nodeOf(hostName) === nodeOf(other);
}

const MADE = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\./;

function nodeOf(hostName: string): string {
  return hostName.replace(MADE, '');
}
