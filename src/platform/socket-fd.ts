import type { Socket } from 'node:net';

/**
 * The descriptor of a Node socket, -1 once it is closed. `_handle` is internal to Node, and alike
 * in 20, 22 and 24; nothing else may touch it.
 */
export function socketFd(socket: Socket): number {
  const internal = socket as unknown as { readonly _handle?: { readonly fd?: number } | null };
  return internal._handle?.fd ?? -1;
}
