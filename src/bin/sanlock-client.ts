import '../platform/clean-start.ts';
import { main } from '../cli/sanlock/main.ts';
import { endWithReader } from '../platform/broken-pipe.ts';

// The program of `client command` goes on when its output has no reader.
endWithReader();
void main(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
