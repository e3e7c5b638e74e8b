import '../platform/clean-start.ts';
import { sanlkReset } from '../cli/sanlk-reset/main.ts';
import { RESETD_SOCKET, resetdRunDir } from '../cli/sanlk-reset/places.ts';
import { sanlockSocketPath } from '../client/sanlock.ts';
import { goOnWithoutReader } from '../platform/broken-pipe.ts';
import { MonotonicClock } from '../platform/clock.ts';
import { sendDatagram } from '../platform/datagram-sender.ts';
import { setProcessName } from '../platform/process-name.ts';
import { UnixSockets } from '../platform/unix-socket.ts';
import { runReset } from '../programs/reset-program.ts';

setProcessName('sanlk-reset');
goOnWithoutReader();
const sanlock = {
  clock: new MonotonicClock(),
  sockets: new UnixSockets(),
  socketPath: sanlockSocketPath(process.env['SANLOCK_RUN_DIR']),
};
sanlkReset(process.argv.slice(2), {
  reset: (request, listener, done) => runReset(request, { sanlock, ...listener }, done),
  sendControl: (bytes) => sendDatagram(`${resetdRunDir(process.env)}/${RESETD_SOCKET}`, bytes),
  print: (text) => process.stdout.write(text),
  complain: (text) => process.stderr.write(`${text}\n`),
  exit: (status) => {
    process.exitCode = status;
  },
});
