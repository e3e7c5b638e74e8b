import '../platform/clean-start.ts';
import { main } from '../cli/sanlock/main.ts';

void main(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
