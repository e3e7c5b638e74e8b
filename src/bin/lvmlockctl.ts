import '../platform/clean-start.ts';
import { textToName } from '../base/bytes.ts';
import { given } from '../base/given.ts';
import { receiveDump } from '../cli/lvmlockctl/dump-socket.ts';
import { lvmlockctl, QUICK_MS } from '../cli/lvmlockctl/main.ts';
import { goOnWithoutReader } from '../platform/broken-pipe.ts';
import { MonotonicClock } from '../platform/clock.ts';
import { sendDatagram } from '../platform/datagram-sender.ts';
import { setProcessName } from '../platform/process-name.ts';
import { UnixSockets } from '../platform/unix-socket.ts';

const SOCKET_PATH = '/run/lvm/lvmlockd.socket';
const SYSLOG_DAEMON_EMERG = 3 << 3;

setProcessName('lvmlockctl');
goOnWithoutReader();
const status = lvmlockctl(process.argv.slice(2), {
  endpoint: {
    sockets: new UnixSockets(),
    clock: new MonotonicClock(),
    socketPath: textToName(given(process.env['LVM_LVMLOCKD_SOCKET']) ?? SOCKET_PATH),
  },
  pid: process.pid,
  receiveDump,
  dumpWithinMs: QUICK_MS,
  print: (text) => process.stdout.write(text),
  complain: (text) => process.stderr.write(`${text}\n`),
  alarm: (text) => {
    const line = `<${SYSLOG_DAEMON_EMERG}>lvmlockctl[${process.pid}]: ${text}`;
    if (!sendDatagram('/dev/log', Buffer.from(line))) process.stderr.write(`${text}\n`);
  },
});

status.then((code) => {
  process.exitCode = code;
});
