/**
 * Acquires a lease, works while it is held, and releases it.
 *
 *   node scripts/run-script.mjs examples/acquire-a-lease.ts LS:mail:/dev/vg/leases:1048576
 *
 * The lockspace must be joined on this host. If the host loses its storage meanwhile, the daemon
 * kills this process before any other host may take the lease: that is the point of it.
 */
import {
  acquire,
  connectSanlock,
  inquire,
  parseResource,
  release,
  textToName,
} from 'holdfast/client';

const text = process.argv[2] ?? '';
const resource = parseResource(textToName(text));
if (!resource.ok) {
  throw new Error(`"${text}" is not <lockspace>:<resource>:<path>:<offset>`);
}

const registered = await connectSanlock().registerProcess();
if (!registered.ok) throw new Error(registered.error.message);
const session = registered.value;

// Answer at once if another host has it, rather than wait until a silent one is surely dead.
const taken = await session.call(acquire([resource.value], { ownerNowait: true }), {
  signal: AbortSignal.timeout(60_000),
});
if (taken.ok) {
  const held = await session.call(inquire());
  console.log(`held: ${held.ok ? held.value.state : held.error.message}`);
  const back = await session.call(release([resource.value]));
  console.log(back.ok ? 'released' : back.error.message);
} else {
  console.log(taken.error.message);
}
session.close();
