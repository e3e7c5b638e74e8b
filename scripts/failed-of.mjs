// What a reader of the last lines alone must know of a run that failed.

const SHOWN = /^\s*(not ok|FAILED|error:|BROKEN|again:)/;
const MAX_LINES = 120;
/** Of one reason, which may be a whole log. */
const MAX_REASON_LINES = 12;
const MAX_LINE = 300;

/** What failed, why, and the command that shows it again; the end of an output that says none of it. */
export function failedOf(output) {
  const lines = [];
  /** A reason of several lines stands deeper than its key; null: none is being read. */
  let reason = null;
  for (const line of output.split('\n')) {
    const indent = line.search(/\S|$/);
    if (reason !== null && indent > reason.indent) {
      if (reason.left-- > 0) lines.push(line.slice(0, MAX_LINE));
      continue;
    }
    reason = /^\s*error: \|-$/.test(line) ? { indent, left: MAX_REASON_LINES } : null;
    if (SHOWN.test(line) && !/# TODO/.test(line)) lines.push(line);
  }
  return lines.length > 0 ? lines.slice(0, MAX_LINES).join('\n') : output.slice(-2000);
}
