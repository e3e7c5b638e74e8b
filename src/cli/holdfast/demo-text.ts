import type { Outcome } from '../../rig/run.ts';

/** The demo's output: one idea a line, colours only on a terminal. */
const COLOUR = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined;
/** Lines of lvm about this rig rather than about locks: without device-mapper it prints them. */
const ABOUT_THE_RIG = /Activation disabled|not zeroed|zeroing and wip|NOT backed up|^\s*$/;

function paint(code: string, text: string): string {
  return COLOUR ? `\u001b[${code}m${text}\u001b[0m` : text;
}

let isHushed = false;

/** Nothing more is printed until the next `hush(false)`. */
export function hush(isOn: boolean): void {
  isHushed = isOn;
}

export function say(text = ''): void {
  if (!isHushed) process.stdout.write(`${text}\n`);
}

export function heading(text: string): void {
  say();
  say(paint('1', text));
}

/** Why the next thing is done, or what the last answer means. */
export function why(text: string): void {
  say(`  ${paint('2', text)}`);
}

export function command(host: string, words: readonly string[]): void {
  say(`  ${paint('36', host)}$ ${words.join(' ')}`);
}

/** What a program answered; refusals in their own colour. */
export function answer(outcome: Outcome): void {
  const lines = linesOf(outcome)
    .filter((line) => !ABOUT_THE_RIG.test(line))
    .map((line) => line.replace(/^\s{0,2}/, ''));
  const colour = outcome.code === 0 ? '32' : '33';
  for (const line of lines) say(`      ${paint(colour, line)}`);
  const verdict = outcome.code === 0 ? 'done' : `refused, exit status ${outcome.code}`;
  say(`      ${paint('2', `(${verdict}, ${(outcome.ms / 1000).toFixed(1)} s)`)}`);
}

/** What a program shows, as it is: its exit status is no verdict of what was asked. */
export function picture(outcome: Outcome): void {
  for (const line of linesOf(outcome)) say(`      ${line}`.trimEnd());
}

function linesOf({ stdout, stderr }: Outcome): readonly string[] {
  return `${stdout}${stderr}`.trimEnd().split('\n');
}

/** One line that counts down in place; without a terminal, a line now and then. */
export function countdown(text: string, secondsLeft: number): void {
  if (isHushed) return;
  if (process.stdout.isTTY === true) {
    process.stdout.write(`\r      ${text} ${secondsLeft.toFixed(0).padStart(3)} s \u001b[K`);
    return;
  }
  if (Math.round(secondsLeft) % 10 === 0) say(`      ${text} ${secondsLeft.toFixed(0)} s`);
}

export function countdownOver(): void {
  if (process.stdout.isTTY === true) process.stdout.write('\r\u001b[K');
}
