// Machines for an interactive session: node scripts/run-script.mjs test/vm/up.ts [how many]
import { MIB } from '../../src/base/units.ts';
import { whyNoMachines } from './initramfs.ts';
import { Machines } from './vm.ts';

const DISK_BYTES = 64 * MIB;
const missing = whyNoMachines();
if (missing !== null) throw new Error(missing);

const startedMs = Date.now();
const machines = await Machines.start(Number(process.argv[2] ?? 1), DISK_BYTES);
console.log(`up after ${((Date.now() - startedMs) / 1000).toFixed(1)} s; ^C ends them`);
for (const { directory } of machines.machines)
  console.log(`socat -,raw,echo=0 ${directory}/console`);
const idle = setInterval(() => {}, 60_000);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    clearInterval(idle);
    await machines.close();
  });
}
