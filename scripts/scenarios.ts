// `npm run scenarios`: runs every text scenario; `-- --accept` writes the traces of now into them.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { runDaemonScenario } from '../src/sim/scenario/daemons.ts';
import { runLeaseScenario } from '../src/sim/scenario/lease.ts';
import { runLvmScenario } from '../src/sim/scenario/lvm.ts';

const root = process.env['HOLDFAST_ROOT'] ?? '.';
const ROOMS: readonly (readonly [string, (text: string) => string])[] = [
  ['src/lease/scenarios', runLeaseScenario],
  ['src/sanlock/scenarios', runDaemonScenario],
  ['src/lvmlockd/scenarios', runLvmScenario],
];
const isAccepting = process.argv.includes('--accept');

let changed = 0;
for (const [folder, run] of ROOMS) {
  for (const name of readdirSync(`${root}/${folder}`).sort()) {
    if (!name.endsWith('.scenario')) continue;
    const path = `${root}/${folder}/${name}`;
    const text = readFileSync(path, 'utf8');
    const now = run(text);
    if (now === text) continue;
    changed++;
    if (isAccepting) writeFileSync(path, now);
    else console.log(`${folder}/${name}: the trace has changed\n${difference(text, now)}`);
  }
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
