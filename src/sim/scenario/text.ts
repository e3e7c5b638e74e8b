/** One line of a scenario: `acquire host=1 resource=R1 shared`. */
export interface Command {
  readonly verb: string;
  readonly words: readonly string[];
  readonly options: ReadonlyMap<string, string>;
}

/** Carries out the commands of one scenario, from its first line to its last. */
export interface ScenarioRunner {
  run(command: Command): void;
  /** What has happened since the last call. */
  takeTrace(): readonly string[];
}

/**
 * Runs a scenario: blocks of commands, `----`, and the trace they must leave; `#` begins a comment.
 *
 * @returns the same text with the traces as they are now
 */
export function runText(text: string, runner: ScenarioRunner): string {
  const out: string[] = [];
  let isTrace = false;
  const endTrace = (): void => {
    if (isTrace) out.push(...runner.takeTrace());
    isTrace = false;
  };
  for (const line of text.split('\n')) {
    if (line === '----') {
      isTrace = true;
      out.push(line);
    } else if (!isTrace || line === '') {
      endTrace();
      out.push(line);
      if (line !== '' && !line.startsWith('#')) runner.run(parse(line));
    } // Else a line of the trace as it was accepted: the one of now takes its place.
  }
  endTrace();
  return out.join('\n');
}

function parse(line: string): Command {
  const tokens = line.match(/[^\s"=]+="[^"]*"|\S+/g) ?? [];
  const [verb = '', ...rest] = tokens;
  const options = new Map<string, string>();
  const words: string[] = [];
  for (const token of rest) {
    const at = token.indexOf('=');
    if (at < 0) words.push(token);
    else options.set(token.slice(0, at), token.slice(at + 1).replaceAll('"', ''));
  }
  return { verb, words, options };
}
