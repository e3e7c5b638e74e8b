import '../platform/clean-start.ts';
import { status } from '../cli/holdfast/status.ts';
import { endWithReader } from '../platform/broken-pipe.ts';

// A bundle of its own: people and programs ask again and again, and it runs from compiled code.
endWithReader([process.stdout]);
void status(process.argv.slice(3)).then((exitStatus) => {
  process.exitCode = exitStatus;
});
