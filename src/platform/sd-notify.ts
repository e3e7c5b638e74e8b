import { sendDatagram } from './datagram-sender.ts';

/** A service manager started us, and wants to be notified. */
export function hasServiceManager(): boolean {
  return socketName() !== null;
}

/** One that takes nothing for a minute is given up. */
const AGAIN_MS = 100;
const MAX_TRIES = 600;
const MAX_WAITING = 16;

/** What was not taken yet, oldest first: the order says which state is the last. */
let waiting: string[] = [];

/**
 * Notifies it ('READY=1', 'STOPPING=1', 'STATUS=…') without waiting for it: what a busy one does
 * not take is sent again. It ends a daemon of whose start it never hears.
 * @returns false: nobody wants to be notified
 */
export function notifyServiceManager(state: string): boolean {
  const name = socketName();
  if (name === null) return false;
  if (waiting.length === MAX_WAITING) waiting.shift();
  waiting.push(state);
  if (waiting.length === 1) sendWaiting(name, MAX_TRIES);
  return true;
}

function sendWaiting(name: string, tries: number): void {
  while (waiting[0] !== undefined && sendDatagram(name, Buffer.from(waiting[0]))) waiting.shift();
  if (waiting.length === 0) return;
  if (tries === 0) waiting = [];
  else setTimeout(() => sendWaiting(name, tries - 1), AGAIN_MS).unref();
}

/** With a descriptor, which it may keep (systemd: FDSTORE=1). */
export function giveServiceManager(state: string, fd: number): boolean {
  const name = socketName();
  return name !== null && sendDatagram(name, Buffer.from(state), fd);
}

function socketName(): string | null {
  const name = process.env['NOTIFY_SOCKET'];
  return name === undefined || name === '' ? null : name;
}
