import { writeFileSync } from 'node:fs';
import type { Daemon } from './daemon.ts';
import { type CpuProfile, flameSvg, framesOf } from './flame.ts';
import { measured, PAIR } from './operations.ts';
import type { Probes } from './probed.ts';
import type { Storage } from './rows.ts';

const PAIRS = 2000;

/** Profiles of front and lease process during pairs: a picture, and V8's own files beside it. */
export async function drawFlames(
  probes: Probes,
  target: { readonly daemon: Daemon; readonly storage: Storage },
  file: string,
): Promise<void> {
  const profiles = await measured(target, { operation: PAIR, count: PAIRS }, async (work) => {
    await probes.ask(target.daemon, 'profile begin');
    await work();
    return probes.ask<CpuProfile>(target.daemon, 'profile end');
  });
  const stem = file.replace(/\.svg$/, '');
  for (const [role, profile] of profiles) {
    const path = `${stem}.${role.replace(' ', '-')}.cpuprofile`;
    writeFileSync(path, JSON.stringify(profile));
    console.log(`Wrote ${path}`);
  }
  const graphs = profiles.map(([role, profile]) => ({
    title: `${role}, ${PAIRS} pairs`,
    all: framesOf(profile),
  }));
  writeFileSync(file, flameSvg(graphs));
  console.log(`Wrote ${file}`);
}
