import '../platform/clean-start.ts';
import { main } from '../cli/holdfast/main.ts';
import { endWithReader } from '../platform/broken-pipe.ts';

const [command, ...rest] = process.argv.slice(2);
if (command === 'guard' && rest.join(' ') === 'serve') {
  require('./guardd.cjs');
} else {
  // A demo takes its rig down when its output has no reader any more; other commands just end.
  if (command !== 'demo' && command !== 'repair') endWithReader();
  void main(process.argv.slice(2)).then((status) => {
    process.exitCode = status;
  });
}
