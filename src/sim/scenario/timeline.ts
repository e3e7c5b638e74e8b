import type { LogFields, LogLevel } from '../../base/log-fields.ts';
import { SECOND_MS } from '../../base/units.ts';
import type { Log } from '../../ports/log.ts';
import type { SimClock } from '../kernel/clock.ts';

/** Something that may happen again and again: its repetitions become part of its first line. */
export interface Repeated {
  /** A run of repetitions ends when something else happens to the same subject. */
  readonly subject: string;
  /** Equal for what counts as the same, whatever numbers its line carries. */
  readonly key: string;
  readonly text: string;
  /** The numbers of the last repetition. */
  readonly last?: string;
}

interface Line {
  readonly atMs: number;
  readonly text: string;
  readonly repeated: Repeated | null;
  times: number;
  lastMs: number;
  last: string;
}

/** What happened on the hosts of a scenario, in seconds since its start. */
export class Timeline {
  readonly #clock: SimClock;
  #startMs = 0;
  #lines: Line[] = [];
  readonly #runs = new Map<string, Line>();

  constructor(clock: SimClock) {
    this.#clock = clock;
  }

  /** Nothing before this is shown; the seconds count from here. */
  start(): void {
    this.#startMs = this.#clock.nowMs();
    this.take();
  }

  /** Second 0 of the scenario on the clocks of its hosts. */
  get startS(): number {
    return Math.floor(this.#startMs / SECOND_MS);
  }

  say(host: string, text: string, repeated: Repeated | null = null): void {
    const nowMs = this.#clock.nowMs();
    if (repeated !== null) {
      const run = this.#runs.get(`${host} ${repeated.subject}`);
      if (run?.repeated?.key === repeated.key) {
        run.times++;
        run.lastMs = nowMs;
        run.last = repeated.last ?? '';
        return;
      }
    }
    const line = { atMs: nowMs, text: `${host} ${text}`, repeated, times: 1, lastMs: 0, last: '' };
    this.#lines.push(line);
    if (repeated !== null) this.#runs.set(`${host} ${repeated.subject}`, line);
  }

  repeat(host: string, repeated: Repeated): void {
    this.say(host, repeated.text, repeated);
  }

  /** The lines since the last call. */
  take(): string[] {
    this.#runs.clear();
    return this.#lines.splice(0).map((line) => this.#words(line));
  }

  #words(line: Line): string {
    const words = `${this.#seconds(line.atMs).padStart(6)} ${line.text}`;
    if (line.times === 1) return words;
    const last = line.last === '' ? '' : `: ${line.last}`;
    return `${words}  (${line.times} times until ${this.#seconds(line.lastMs)}${last})`;
  }

  #seconds(ms: number): string {
    return ((ms - this.#startMs) / SECOND_MS).toFixed(1);
  }
}

/** Seconds of a host's clock: the trace shows them as seconds of the scenario. */
const CLOCK_SECONDS: readonly string[] = ['renewal', 'expire', 'timestampS'];

/** Fields with sentences: those are for administrators, and may be reworded. */
const SENTENCES: readonly string[] = ['advice', 'reason', 'during'];

function fieldWords(fields: LogFields, startS: number): string {
  const shown = (name: string, value: LogFields[string]) =>
    CLOCK_SECONDS.includes(name) ? Number(value) - startS : value;
  return Object.entries(fields)
    .filter(([name, value]) => !SENTENCES.includes(name) && value !== '')
    .map(([name, value]) => ` ${name}=${shown(name, value ?? null)}`)
    .join('');
}

/** Writes one event of a program's log; its repetitions are those with the same texts. */
export function logEvent(
  timeline: Timeline,
  of: { readonly host: string; readonly program: string; readonly level: LogLevel },
  event: string,
  fields: LogFields,
): void {
  const words = `${event}${fieldWords(fields, timeline.startS)}`;
  const key = words.replaceAll(/\d+/g, '');
  const text = `${of.program} ${of.level} ${words}`;
  timeline.repeat(of.host, { subject: `${of.program} log ${key}`, key, text });
}

/** A program's log as lines of the trace; `hidden`: events that the trace shows in another way. */
export function logOf(
  timeline: Timeline,
  of: { readonly host: string; readonly program: string; readonly hidden: readonly string[] },
): Log {
  const write =
    (level: LogLevel) =>
    (event: string, fields: LogFields = {}) => {
      if (!of.hidden.includes(event)) logEvent(timeline, { ...of, level }, event, fields);
    };
  return { error: write('error'), warn: write('warn'), info: write('info'), debug: () => {} };
}
