import type { LogFields, LogLevel } from '../base/log-fields.ts';
import { MIB } from '../base/units.ts';
import type { Log } from '../ports/log.ts';
import { monotonicMs } from './clock.ts';
import { DatagramSender } from './datagram-sender.ts';
import { stderrIsJournal } from './journal-stream.ts';
import { LogFile } from './log-file.ts';
import { RepeatedLines } from './repeated-lines.ts';
import { unblockingStderr } from './unblocking-stderr.ts';

const RING_RECORDS = 8192;
const DUMP_BYTES = MIB; // what C keeps, and what a log_dump client expects at most
const FLUSH_DEADLINE_MS = 200; // the file may lie on a hung disk
const SYSLOG_NAME = '/dev/log';
const SYSLOG_DAEMON_FACILITY = 3 << 3;

/** syslog's numbers: a sink takes an event when the event's number is at most its own. */
const SEVERITY: Readonly<Record<LogLevel, number>> = { error: 3, warn: 4, info: 6, debug: 7 };

interface LogRecord {
  readonly wallMs: number;
  readonly monotonicS: number;
  readonly pid: number;
  readonly level: LogLevel;
  readonly event: string;
  readonly fields: LogFields | undefined;
}

export interface LogSinks {
  readonly program: string;
  /** null: no file. */
  readonly file: string | null;
  readonly fileSeverity: number;
  readonly syslogSeverity: number;
  /** Everything goes to stderr as well (`-D`). */
  readonly stderr: boolean;
  readonly utc: boolean;
}

/** Where lines go; a test has its own. */
export interface LogPlaces {
  /** @returns whether it was taken. */
  readonly syslog: (text: string) => boolean;
  readonly stderr: (text: string) => void;
  readonly stderrIsJournal: boolean;
}

function realPlaces(): LogPlaces {
  const syslog = new DatagramSender(SYSLOG_NAME);
  return {
    syslog: (text) => syslog.send(Buffer.from(text)),
    stderr: unblockingStderr(),
    stderrIsJournal: stderrIsJournal(),
  };
}

/**
 * Every event goes into a ring; its text is made only when a sink or a dump wants it. No line waits
 * for its reader, needs a new descriptor, or throws. Lines look as those of the C daemon (spec 20
 * §15).
 */
export class DaemonLog implements Log {
  readonly #sinks: LogSinks;
  readonly #ring: RingLine[] = [];
  #next = 0;
  readonly #repeated = new RepeatedLines<LogRecord>();
  readonly #places: LogPlaces;
  #foldTimer: NodeJS.Timeout | null = null;
  #file: LogFile | null = null;
  #unsent = 0; // lines that the system log did not take

  constructor(sinks: LogSinks, places: LogPlaces = realPlaces()) {
    this.#sinks = sinks;
    this.#places = places;
    // Opened at once: the daemon gives up its privileges soon. With no place for it, the ring and
    // the system log remain.
    this.#file = sinks.file === null ? null : LogFile.open(sinks.file);
  }

  error(event: string, fields?: LogFields): void {
    this.#add('error', event, fields);
  }

  warn(event: string, fields?: LogFields): void {
    this.#add('warn', event, fields);
  }

  info(event: string, fields?: LogFields): void {
    this.#add('info', event, fields);
  }

  debug(event: string, fields?: LogFields): void {
    this.#add('debug', event, fields);
  }

  /** Calls `flushed` when the file has everything, but waits no longer than a moment. */
  close(flushed: () => void): void {
    this.#writeCounts(this.#repeated.all());
    const file = this.#file;
    this.#file = null;
    if (file === null) {
      flushed();
      return;
    }
    setTimeout(flushed, FLUSH_DEADLINE_MS);
    file.whenWritten(flushed);
  }

  /** The newest records as text, oldest first, at most 1 MiB. */
  dump(): string {
    this.#writeCounts(this.#repeated.all());
    const lines: string[] = [];
    let bytes = 0;
    for (let back = 1; back <= this.#ring.length; back++) {
      const line = this.#ring[(this.#next - back + RING_RECORDS * 2) % RING_RECORDS]?.text;
      if (line === undefined) break;
      bytes += Buffer.byteLength(line);
      if (bytes > DUMP_BYTES) break;
      lines.push(line);
    }
    return lines.reverse().join('');
  }

  #add(level: LogLevel, event: string, fields: LogFields | undefined): void {
    const record: LogRecord = {
      wallMs: Date.now(),
      monotonicS: Math.floor(Number(process.hrtime.bigint() / 1_000_000_000n)),
      pid: process.pid,
      level,
      event,
      fields,
    };
    const nowMs = Math.floor(monotonicMs());
    this.#writeCounts(this.#repeated.due(nowMs));
    if (this.#repeated.take(record, nowMs)) this.#write(record);
    this.#planCounts(nowMs);
  }

  #write(record: LogRecord): void {
    const line = new RingLine(record, this.#sinks.utc);
    this.#ring[this.#next] = line;
    this.#next = (this.#next + 1) % RING_RECORDS;
    const { stderr, fileSeverity, syslogSeverity } = this.#sinks;
    const severity = SEVERITY[record.level];
    const isSent = severity <= syslogSeverity && this.#writeSyslog(record);
    // The journal has what was sent to the system log: once is enough.
    if (stderr && !(this.#places.stderrIsJournal && isSent)) this.#places.stderr(line.text);
    if (severity <= fileSeverity) this.#file?.write(line.text);
  }

  #writeCounts(counts: readonly (readonly [LogRecord, number])[]): void {
    for (const [record, repeated] of counts) {
      this.#write({ ...record, fields: { ...record.fields, repeated } });
    }
  }

  /** A storm that is over is counted too. */
  #planCounts(nowMs: number): void {
    const dueMs = this.#repeated.nextMs();
    if (dueMs === null || this.#foldTimer !== null) return;
    this.#foldTimer = setTimeout(
      () => {
        this.#foldTimer = null;
        const laterMs = Math.ceil(monotonicMs());
        this.#writeCounts(this.#repeated.due(laterMs));
        this.#planCounts(laterMs);
      },
      Math.max(0, dueMs - nowMs),
    ).unref();
  }

  #writeSyslog(record: LogRecord): boolean {
    const note = `${this.#unsent} lines lost: the system log did not take them`;
    if (this.#unsent > 0 && this.#places.syslog(this.#syslogLine('warn', note))) this.#unsent = 0;
    const isSent = this.#places.syslog(this.#syslogLine(record.level, eventText(record)));
    if (!isSent) this.#unsent++;
    return isSent;
  }

  #syslogLine(level: LogLevel, text: string): string {
    const priority = SYSLOG_DAEMON_FACILITY | SEVERITY[level];
    return `<${priority}>${this.#sinks.program}[${process.pid}]: ${text}`;
  }
}

/**
 * An event until its text is wanted, and then its text alone. A dump is made of 8192: without what
 * the one before has made it keeps all clients waiting for 20 to 60 ms.
 */
class RingLine {
  readonly #utc: boolean;
  #record: LogRecord | null;
  #text = '';

  constructor(record: LogRecord, utc: boolean) {
    this.#record = record;
    this.#utc = utc;
  }

  get text(): string {
    const record = this.#record;
    if (record === null) return this.#text;
    const { wallMs, monotonicS, pid } = record;
    this.#text = `${timeText(wallMs, this.#utc)} ${monotonicS} [${pid}]: ${eventText(record)}\n`;
    this.#record = null;
    return this.#text;
  }
}

/** `renewal.late lockspace=LS1 ageMs=6100` */
function eventText(record: { readonly event: string; readonly fields: LogFields | undefined }) {
  let text = record.event;
  for (const [name, value] of Object.entries(record.fields ?? {})) {
    text += ` ${name}=${typeof value === 'string' ? oneLine(value) : String(value)}`;
  }
  return text;
}

/** A value with blanks or control bytes is quoted, so that one event stays one line. */
function oneLine(value: string): string {
  return /^[\x21-\x7e]+$/.test(value) ? value : JSON.stringify(value);
}

function timeText(wallMs: number, utc: boolean): string {
  const shiftMs = utc ? 0 : new Date(wallMs).getTimezoneOffset() * 60_000;
  return new Date(wallMs - shiftMs).toISOString().slice(0, 19).replace('T', ' ');
}
