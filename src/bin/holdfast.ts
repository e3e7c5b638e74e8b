import '../platform/clean-start.ts';
import { main } from '../cli/holdfast/main.ts';
import { endWithReader } from '../platform/broken-pipe.ts';

// A demo takes down what it built when nobody reads it any more; the others just end.
if (process.argv[2] !== 'demo' && process.argv[2] !== 'repair') endWithReader();
void main(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
