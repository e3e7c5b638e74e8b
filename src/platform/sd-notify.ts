import { sendDatagram } from './datagram-sender.ts';

/** A service manager started us, and wants to be notified. */
export function hasServiceManager(): boolean {
  return socketName() !== null;
}

/** Notifies it, if there is one ('READY=1', 'STOPPING=1', 'STATUS=…'). */
export function notifyServiceManager(state: string): boolean {
  const name = socketName();
  return name !== null && sendDatagram(name, Buffer.from(state));
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
