/**
 * The first import of every program of ours, which acts as it is loaded. `bin/` has cleaned the
 * environment already, before Node read it; this is for what is started otherwise, and for every
 * child: nothing it starts gets a variable that loads code, opens a port or writes files, or one
 * that tells of descriptors which only this process has.
 */
const FOREIGN =
  /^(NODE_|LD_|UV_|V8_|KOFFI|OPENSSL_|SSL|ICU_|ELECTRON_|MALLOC_|(GLIBC_TUNABLES|GCONV_PATH|GETCONF_DIR|LOCPATH|NLSPATH|ENV|BASH_ENV|LISTEN_(PID|PIDFDID|FDS|FDNAMES))$)/;
/** How `bin/` hands on what it put aside. */
const KEPT = 'HOLDFAST_KEPT_';

/** One for the process: sanlock loads the daemon as a program of its own, with this file in it. */
const OF_PROCESS = Symbol.for('holdfast kept variables');
const globals = globalThis as { [OF_PROCESS]?: Map<string, string> };
globals[OF_PROCESS] ??= new Map();
const kept = globals[OF_PROCESS];

for (const [name, value = ''] of Object.entries(process.env)) {
  const isKept = name.startsWith(KEPT);
  if (!isKept && !FOREIGN.test(name)) continue;
  kept.set(isKept ? name.slice(KEPT.length) : name, value);
  delete process.env[name];
}
// Without a listener Node opens its debugger. Log rotation and fence agents send such signals.
process.on('SIGUSR1', () => {});

/**
 * Node's own arguments for each process of ours: until its first line runs, SIGUSR1 opens the
 * debugger at this address, and nothing can listen there, as it is of no interface.
 */
export const NODE_ARGUMENTS: readonly string[] = ['--inspect-port=[fe80::1]:9229'];

/** A variable that was put aside. */
export function keptVariable(name: string): string | undefined {
  return kept.get(name);
}

/** For a program of the user's that this process becomes: what it was started with. */
export function restoreEnvironment(): void {
  for (const [name, value] of kept) process.env[name] = value;
  kept.clear();
}
