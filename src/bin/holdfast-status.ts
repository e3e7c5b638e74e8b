import '../platform/clean-start.ts';
import { status } from '../cli/holdfast/status.ts';

// A bundle of its own: people and programs ask again and again, and it runs from compiled code.
void status(process.argv.slice(3)).then((exitStatus) => {
  process.exitCode = exitStatus;
});
