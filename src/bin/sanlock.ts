import '../platform/clean-start.ts';
import { main } from '../cli/sanlock/main.ts';
import { endWithReader } from '../platform/broken-pipe.ts';

// A daemon goes on when its output has no reader; so does the program of `client command`.
if (process.argv[2] !== 'daemon') endWithReader();
void main(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
