import '../platform/clean-start.ts';
import { runFromCodeCache } from '../platform/code-cache.ts';
import type { main as daemonMain } from './sanlock-daemon.ts';

// Each is a bundle of its own: none reads and compiles another's code. Not by import(), which
// starts Node's other module loader, and that costs as much as all of ours.
const [command, ...args] = process.argv.slice(2);
if (command === 'daemon') {
  const { main } = require('./sanlock-daemon.cjs') as { main: typeof daemonMain };
  void main(args).then((status) => {
    process.exitCode = status;
  });
} else if (command === 'direct' && args.length > 0) {
  require('./sanlock-direct.cjs');
} else {
  runFromCodeCache(`${__dirname}/sanlock-client.cjs`, { require, module });
}
