import '../platform/clean-start.ts';
import { sanlkReset } from '../cli/sanlk-reset/main.ts';
import { RESETD_SOCKET, resetdRunDir } from '../cli/sanlk-reset/places.ts';
import { SanlockClient, sanlockSocketPath } from '../client/sanlock.ts';
import { goOnWithoutReader } from '../platform/broken-pipe.ts';
import { MonotonicClock } from '../platform/clock.ts';
import { sendDatagram } from '../platform/datagram.ts';
import { setProcessName } from '../platform/process-name.ts';
import { UnixSockets } from '../platform/unix-socket.ts';

setProcessName('sanlk-reset');
goOnWithoutReader();
const clock = new MonotonicClock();
const socketPath = sanlockSocketPath(process.env['SANLOCK_RUN_DIR']);
const status = sanlkReset(process.argv.slice(2), {
  client: new SanlockClient({ clock, sockets: new UnixSockets(null), socketPath }),
  clock,
  sendControl: (bytes) => sendDatagram(`${resetdRunDir(process.env)}/${RESETD_SOCKET}`, bytes),
  print: (text) => process.stdout.write(text),
  complain: (text) => process.stderr.write(`${text}\n`),
});
status.then((code) => {
  process.exitCode = code;
});
