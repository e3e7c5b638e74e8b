// `npm run scenarios`: plays every text scenario; `-- --accept` writes what happens now into them.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { playScenario } from '../src/sim/workload/scenario.ts';

const root = process.env['HOLDFAST_ROOT'] ?? '.';
const FOLDER = `${root}/src/lease/scenarios/`;
const isAccepting = process.argv.includes('--accept');

let changed = 0;
for (const name of readdirSync(FOLDER).filter((file) => file.endsWith('.scenario'))) {
  const text = readFileSync(FOLDER + name, 'utf8');
  const now = playScenario(text);
  if (now === text) continue;
  changed++;
  if (isAccepting) writeFileSync(FOLDER + name, now);
  else console.log(`${name}: what happens is not what is written\n${difference(text, now)}`);
}
if (isAccepting) console.log(`scenarios: ${changed} rewritten; review the change`);
else if (changed === 0) console.log('scenarios: all as written');
process.exitCode = changed === 0 || isAccepting ? 0 : 1;

/** The first lines that differ, written then found. */
function difference(before: string, after: string): string {
  const [was, is] = [before.split('\n'), after.split('\n')];
  const at = is.findIndex((line, i) => line !== was[i]);
  const shown = (lines: readonly string[], sign: string) =>
    lines.slice(at, at + 5).map((line) => `  ${sign} ${line}`);
  return [`  from line ${at + 1}:`, ...shown(was, '-'), ...shown(is, '+')].join('\n');
}
