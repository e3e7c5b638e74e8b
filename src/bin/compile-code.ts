import '../platform/clean-start.ts';
import { compileAll } from '../platform/code-cache.ts';
import { reasonOf } from '../platform/system-error.ts';

// What an installation runs once, for the Node that it has (decision 0025).
try {
  compileAll(__dirname);
} catch (error) {
  process.stderr.write(`holdfast: its commands start slower: ${reasonOf(error)}\n`);
  process.exitCode = 1;
}
