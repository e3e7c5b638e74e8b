import { sendDatagram } from './datagram.ts';

/** Notifies the service manager, if one started us and wants it ('READY=1', 'STOPPING=1'). */
export function notifyServiceManager(state: string): boolean {
  const name = process.env['NOTIFY_SOCKET'];
  if (name === undefined || name === '') return false;
  return sendDatagram(name, Buffer.from(state));
}
