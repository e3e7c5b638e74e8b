import '../platform/clean-start.ts';
import type { main as daemonMain } from './sanlock-daemon.ts';

// Each is a bundle of its own: neither reads and compiles the other's code. Not by import(), which
// starts Node's other module loader, and that costs as much as all of ours.
const [command, ...args] = process.argv.slice(2);
if (command === 'daemon') {
  const { main } = require('./sanlock-daemon.cjs') as { main: typeof daemonMain };
  void main(args).then((status) => {
    process.exitCode = status;
  });
} else {
  require('./sanlock-client.cjs');
}
