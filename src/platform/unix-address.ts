import type { ByteString } from '../base/bytes.ts';

export const AF_UNIX = 1;
export const MAX_SOCKET_PATH_BYTES = 107;

/** Of the abstract space: no file is made there, and none has to be removed. */
export function isAbstract(name: ByteString): boolean {
  return name.startsWith('@');
}

/**
 * struct sockaddr_un. A leading '@' means the abstract space, where the name's exact length
 * counts: Node pads it with NULs, and then no C program finds it (spec 70 §5).
 */
export function unixAddress(name: ByteString): Uint8Array {
  const bytes = Buffer.from(name, 'latin1');
  if (bytes.length === 0 || bytes.length > MAX_SOCKET_PATH_BYTES) {
    throw new Error(`a unix socket name has 1 to ${MAX_SOCKET_PATH_BYTES} bytes: ${name}`);
  }
  const address = new Uint8Array(2 + bytes.length + (isAbstract(name) ? 0 : 1));
  address[0] = AF_UNIX;
  address.set(bytes, 2);
  if (isAbstract(name)) address[2] = 0;
  return address;
}
