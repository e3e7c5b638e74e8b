import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DatagramReceiver } from './datagram.ts';
import { DatagramSender, sendDatagram } from './datagram-sender.ts';
import { DaemonLog } from './log.ts';
import { withoutDescriptors } from './testing/without-descriptors.ts';

test('with no descriptor left a log line still goes out, and what needs one refuses', async () => {
  const name = `@holdfast-full-${process.pid}`;
  const heard: string[] = [];
  let finish = (): void => {};
  const last = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const receiver = new DatagramReceiver(name, (bytes) => {
    heard.push(Buffer.from(bytes).toString());
    if (heard.at(-1) === 'last') finish();
  });
  const sender = new DatagramSender(name);
  const levels = { fileSeverity: 4, syslogSeverity: 6 };
  const log = new DaemonLog({ program: 'test', file: null, ...levels, stderr: true, utc: true });
  withoutDescriptors(() => {
    log.info('client.registered', { pid: 1 });
    assert.equal(sendDatagram(name, Buffer.from('new')), false);
    assert.equal(new DatagramSender(name).send(Buffer.from('new too')), false);
    assert.equal(sender.send(Buffer.from('kept')), true);
  });
  sender.send(Buffer.from('last'));
  await last;
  receiver.close();
  sender.close();
  assert.deepEqual(heard, ['kept', 'last']);
  assert.match(log.dump(), /client\.registered pid=1/);
});
