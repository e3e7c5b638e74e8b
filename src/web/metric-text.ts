import { shown } from '../base/plain-text.ts';

/** What a metric is, as `/metrics` and docs/operations/metrics.md have it. */
export interface Metric {
  readonly type: 'gauge' | 'counter' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
}

export type LabelValues = Readonly<Record<string, string>>;

/** Longer than any name of lvm (127) or sanlock (48). */
const MAX_VALUE = 160;

/** The text format of Prometheus, version 0.0.4, of metrics in the order of their table. */
export class MetricText {
  readonly #metrics: Readonly<Record<string, Metric>>;
  readonly #lines = new Map<string, string[]>();
  readonly #maxSeries: number;
  #series = 0;
  #leftOut = 0;

  /** @param maxSeries further ones are left out, and counted */
  constructor(metrics: Readonly<Record<string, Metric>>, maxSeries: number) {
    this.#metrics = metrics;
    this.#maxSeries = maxSeries;
  }

  get leftOut(): number {
    return this.#leftOut;
  }

  /** @param suffix `_bucket`, `_sum`, `_count` of a histogram */
  add(name: string, labels: LabelValues, value: number, suffix = ''): void {
    if (this.#series >= this.#maxSeries) {
      this.#leftOut += 1;
      return;
    }
    this.#series += 1;
    const lines = this.#lines.get(name) ?? [];
    lines.push(`${name}${suffix}${labelText(labels)} ${valueText(value)}\n`);
    this.#lines.set(name, lines);
  }

  toString(): string {
    return Object.entries(this.#metrics)
      .flatMap(([name, { type, help }]) => {
        const lines = this.#lines.get(name);
        if (lines === undefined) return [];
        return [`# HELP ${name} ${helpText(help)}\n# TYPE ${name} ${type}\n`, ...lines];
      })
      .join('');
  }
}

function labelText(labels: LabelValues): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${labelValue(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

/** Whatever a disk says: one line, and within its quotes. */
export function labelValue(text: string): string {
  return shown(text, MAX_VALUE).replace(/["\\]/g, '\\$&');
}

function helpText(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/\n/g, ' ');
}

function valueText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}
