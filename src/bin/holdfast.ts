import '../platform/clean-start.ts';
import { runFromCodeCache } from '../platform/code-cache.ts';

// Each is a bundle of its own: none reads and compiles another's code.
const [command, ...rest] = process.argv.slice(2);
const isHelp = rest.some((word) => word === '--help' || word === '-h');
if (command === 'status' && !isHelp) {
  runFromCodeCache(`${__dirname}/holdfast-status.cjs`, { require, module });
} else if (command === 'guard' && rest.join(' ') === 'serve') {
  require('./guardd.cjs');
} else {
  require('./holdfast-main.cjs');
}
