import { createInterface } from 'node:readline/promises';
import { plain, plainJson } from '../../../base/plain-text.ts';
import { fail, type Result } from '../../../base/result.ts';
import { reasonOf } from '../../../platform/system-error.ts';
import type { CommandOption } from '../../frame/page.ts';

/** Commands that change something: the plan is shown, then agreed to, then carried out in its order. */

export const PLAN_OPTIONS = [
  { name: 'dry-run', about: 'show what would be done, and change nothing' },
  { name: 'yes', short: 'y', about: 'do it without asking' },
] as const satisfies readonly CommandOption[];

export interface PlannedStep {
  /** In the infinitive, for the plan: `start VG vg1`. */
  readonly what: string;
  /** Lines below it: a diff, a command; empty: none. */
  readonly detail: readonly string[];
  /** @returns a sentence about what is so now, or about why it is not */
  readonly run: (progress: (text: string) => void) => Promise<Result<string, string>>;
}

export interface Plan {
  /** Sentences above the steps: what was found. */
  readonly found: readonly string[];
  readonly steps: readonly PlannedStep[];
  /** Why nothing can be done; empty: it can. */
  readonly refusals: readonly string[];
  /** What the user has to do elsewhere, and things to know. */
  readonly notes: readonly string[];
}

export interface PlanOrder {
  readonly command: string;
  readonly schema: string;
  readonly isDryRun: boolean;
  readonly isYes: boolean;
  readonly isJson: boolean;
  /** More fields of the JSON, known once the steps have been made. */
  readonly facts: () => Readonly<Record<string, unknown>>;
  /** The last sentence, after all steps. */
  readonly conclusion: () => Promise<{ readonly isSo: boolean; readonly says: string }>;
}

export interface Terminal {
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
  /** One line that the next one replaces; ''. the line is done. */
  readonly progress: (text: string) => void;
  /** null: nobody can be asked. */
  readonly ask: ((question: string) => Promise<boolean>) | null;
}

export type PlanState = 'refused' | 'planned' | 'notAgreed' | 'failed' | 'done';

interface StepState {
  readonly what: string;
  readonly detail: readonly string[];
  state: 'planned' | 'done' | 'failed';
  says: string;
}

/** Shows the plan and carries it out as far as it goes. @returns the exit status */
export async function carryOut(plan: Plan, order: PlanOrder, on: Terminal): Promise<number> {
  const steps: StepState[] = plan.steps.map(({ what, detail }) => ({
    ...{ what: plain(what), detail: detail.map(untabbed), state: 'planned' as const, says: '' },
  }));
  const finish = (state: PlanState, says: string): number => {
    if (order.isJson) on.print(`${plainJson(jsonOf(plan, order, { steps, state, says }))}\n`);
    else if (state === 'done' || state === 'planned') on.print(`${plain(says)}\n`);
    else on.complain(`holdfast ${order.command}: ${plain(says)}\n`);
    return state === 'done' || state === 'planned' ? 0 : 1;
  };
  if (!order.isJson) on.print(planText(plan, steps));
  if (plan.refusals.length > 0)
    return finish('refused', `nothing was changed: ${plan.refusals.join('; ')}`);
  if (order.isDryRun && plan.steps.length > 0)
    return finish('planned', 'Nothing was changed (--dry-run).');
  if (plan.steps.length > 0 && !order.isYes && !(await isAgreed(on, order))) {
    const why =
      on.ask === null ? 'without a terminal, --yes agrees to the plan' : 'it was not agreed to';
    return finish('notAgreed', `nothing was changed: ${why}`);
  }
  for (const [index, step] of plan.steps.entries()) {
    const state = steps[index];
    if (state === undefined) break;
    const ended = await attempt(step, on, order);
    state.says = ended.ok ? plain(ended.value) : plain(ended.error);
    state.state = ended.ok ? 'done' : 'failed';
    if (!ended.ok) return finish('failed', `${step.what}: ${ended.error}`);
    if (!order.isJson) on.print(`[${index + 1}/${steps.length}] ${state.says}\n`);
  }
  const { isSo, says } = await order.conclusion();
  return finish(isSo ? 'done' : 'failed', says);
}

/** Of a file: its tabs are no control characters that a terminal must not see. */
function untabbed(line: string): string {
  return plain(line.replaceAll('\t', '    '));
}

async function attempt(
  step: PlannedStep,
  on: Terminal,
  { isJson }: PlanOrder,
): Promise<Result<string, string>> {
  const progress = isJson ? () => {} : on.progress;
  try {
    return await step.run((text) => progress(plain(text)));
  } catch (thrown) {
    return fail(reasonOf(thrown));
  } finally {
    progress('');
  }
}

async function isAgreed(on: Terminal, { isJson }: PlanOrder): Promise<boolean> {
  return on.ask !== null && !isJson && (await on.ask('Do this? [y/N] '));
}

function jsonOf(
  plan: Plan,
  order: PlanOrder,
  end: { readonly steps: readonly StepState[]; readonly state: PlanState; readonly says: string },
): unknown {
  return {
    ...{ schema: order.schema, state: end.state, says: plain(end.says) },
    ...order.facts(),
    found: plan.found.map(plain),
    steps: end.steps,
    refusals: plan.refusals.map(plain),
    notes: plan.notes.map(plain),
  };
}

function planText({ found, refusals, notes }: Plan, steps: readonly StepState[]): string {
  const lines = found.map(plain);
  if (steps.length > 0 && refusals.length === 0) {
    lines.push('Plan:');
    for (const [index, { what, detail }] of steps.entries()) {
      lines.push(`  ${index + 1}. ${what}`, ...detail.map((line) => `       ${line}`));
    }
  }
  lines.push(...notes.map((note) => `Note: ${plain(note)}`));
  return lines.map((line) => `${line}\n`).join('');
}

/** Of this process. */
export function realTerminal(): Terminal {
  const isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  const clears = process.stderr.isTTY === true;
  let last = '';
  return {
    print: (text) => void process.stdout.write(text),
    complain: (text) => void process.stderr.write(text),
    progress: (text) => {
      if (text === last) return;
      last = text;
      if (clears) process.stderr.write(`\r\u001b[K${text}`);
      else if (text !== '') process.stderr.write(`${text}\n`);
    },
    ask: isTerminal ? ask : null,
  };
}

async function ask(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await lines.question(question)).trim());
  } finally {
    lines.close();
  }
}
