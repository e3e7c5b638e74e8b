import '../platform/clean-start.ts';
import { main } from '../cli/holdfast/main.ts';
import { endWithReader } from '../platform/broken-pipe.ts';

const [command] = process.argv.slice(2);
// A demo takes its rig down when its output has no reader any more; other commands just end.
if (command !== 'demo' && command !== 'repair') endWithReader();
void main(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
