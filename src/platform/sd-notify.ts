import { sendDatagram } from './datagram.ts';

/** Tells the service manager, if one started us and asked to hear ('READY=1', 'STOPPING=1'). */
export function notifyServiceManager(state: string): boolean {
  const name = process.env['NOTIFY_SOCKET'];
  if (name === undefined || name === '') return false;
  return sendDatagram(name, Buffer.from(state));
}
