import '../platform/clean-start.ts';
import { runDirect } from '../cli/sanlock/direct-main.ts';

const [action = '', ...args] = process.argv.slice(3);
process.exitCode = runDirect(action, args);
