/** What has gone wrong so far, each thing in a sentence and once. */
export class Verdict {
  readonly #startedMs = performance.now();
  readonly #failures = new Set<string>();
  readonly #lines: string[] = [];
  readonly #log: (line: string) => void;

  /** `log` is told of each at once. */
  constructor(log: (line: string) => void = () => {}) {
    this.#log = log;
  }

  get isGood(): boolean {
    return this.#failures.size === 0;
  }

  fail(sentence: string): void {
    if (this.#failures.has(sentence)) return;
    this.#failures.add(sentence);
    const atS = ((performance.now() - this.#startedMs) / 1000).toFixed(1);
    this.#lines.push(`after ${atS} s: ${sentence}`);
    this.#log(sentence);
  }

  /** For a reader; '' when all is good. */
  text(): string {
    return this.#lines.join('\n');
  }
}
