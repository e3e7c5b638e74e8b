import { setFlagsFromString } from 'node:v8';
import { MIB } from '../base/units.ts';
import { mallocTrim, mallopt } from './system-calls.ts';

const M_TRIM_THRESHOLD = -1;
const M_MMAP_THRESHOLD = -3;
/**
 * More than a compiler of V8 takes at once: what it frees and takes again all the time stays, as
 * each page of it would cost a fault.
 */
const THRESHOLD_BYTES = MIB;
/** V8 collects what the start has left 8 seconds later, and is done within one more. */
const SETTLED_MS = 12_000;

/** Keeps small what this process has of its own: every lease process has it once more (spec 70 §7). */
export function boundMemory(): void {
  boundYoungGeneration();
  boundMalloc();
  setTimeout(() => mallocTrim(0), SETTLED_MS).unref();
}

/**
 * Keeps the young generation at the 2 MB it begins with: under load it grows to 32 MB and never
 * shrinks (spec 70 §6). Not by a flag on the command line: with any V8 flag there, Node throws its
 * compiled built-in code away and starts 6 ms later.
 */
export function boundYoungGeneration(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/**
 * A large block that is freed has malloc raise both thresholds to its size and twice that, for
 * good: then it keeps megabytes, among them what each collection of V8 needs for a moment.
 */
function boundMalloc(): void {
  mallopt(M_TRIM_THRESHOLD, THRESHOLD_BYTES);
  mallopt(M_MMAP_THRESHOLD, THRESHOLD_BYTES);
}
