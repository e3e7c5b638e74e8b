// Of a group of tests that ended well: what its reader wants to see.

const SHOWN = [
  /^\s*(ok|FAILED|check:)/,
  /^\s*# [hc]{4}:/,
  /^# (pass|fail|skipped)/,
  /^\s*# .*(lost|granted|last renewal)/,
  /no promise broken/,
];
/** A test that takes longer says how long: the time of all is bounded. */
const LONG_S = 10;

/** The tests' names and what they measured, not the runner's bookkeeping. */
export function summaryOf(output) {
  const lines = [];
  for (const line of output.split('\n')) {
    const took = /^\s*duration_ms: ([\d.]+)/.exec(line);
    if (took !== null) {
      const seconds = Math.round(Number(took[1]) / 1000);
      if (seconds >= LONG_S && /^\s*ok /.test(lines.at(-1) ?? ''))
        lines.push(`${lines.pop()} (${seconds} s)`);
    } else if (SHOWN.some((pattern) => pattern.test(line))) {
      lines.push(line);
    }
  }
  return lines.join('\n');
}
