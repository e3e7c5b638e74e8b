/**
 * What the rows shall reach. A ratio is ours / C 3.8.5 of one run; less is better, but for rates.
 * `must` is the promise, `aim` what we work for.
 */
export interface Goal {
  /** Names of rows. */
  readonly rows: RegExp;
  /** Null: wherever the row is measured. */
  readonly setting: Setting | null;
  readonly of: 'ratio' | 'value';
  readonly must: number;
  readonly aim: number;
}

/**
 * Where the areas lie, and for how many hosts. In memory both have small areas; on a disk ours may
 * be small against those that C makes.
 */
export type Setting = 'memory, small areas' | 'disk, 2000 hosts' | 'disk, small areas' | 'other';

const MEMORY: Setting = 'memory, small areas';
const LARGE: Setting = 'disk, 2000 hosts';
const SMALL: Setting = 'disk, small areas';

export const GOALS: readonly Goal[] = [
  { setting: MEMORY, rows: /^acquire ex$/, of: 'ratio', must: 0.6, aim: 0.35 },
  {
    setting: MEMORY,
    rows: /^(release ex|release sh|convert ex to sh)$/,
    of: 'ratio',
    must: 2.5,
    aim: 1.5,
  },
  { setting: MEMORY, rows: /^(inquire|set lvb|get lvb)$/, of: 'ratio', must: 1.5, aim: 1 },
  { setting: MEMORY, rows: /^version, new connection$/, of: 'ratio', must: 3, aim: 2 },
  { setting: MEMORY, rows: /^throughput, 8 clients$/, of: 'ratio', must: 3, aim: 6 },
  { setting: MEMORY, rows: /^throughput, 32 clients$/, of: 'ratio', must: 4, aim: 10 },
  { setting: LARGE, rows: /^acquire ex$/, of: 'ratio', must: 0.5, aim: 0.4 },
  { setting: LARGE, rows: /^release ex$/, of: 'ratio', must: 1.2, aim: 0.9 },
  { setting: LARGE, rows: /^hand-over between hosts$/, of: 'ratio', must: 0.6, aim: 0.4 },
  { setting: SMALL, rows: /^acquire ex$/, of: 'ratio', must: 0.22, aim: 0.15 },
  { setting: SMALL, rows: /^throughput, 32 clients$/, of: 'ratio', must: 7, aim: 12 },
  {
    setting: null,
    rows: /^(CPU, (\d+ clients?|first \d+ pairs)|pair: CPU)$/,
    of: 'ratio',
    must: 0.35,
    aim: 0.15,
  },
  { setting: null, rows: /^idle, one lockspace$/, of: 'ratio', must: 5, aim: 2 },
  { setting: null, rows: /^lock_vg ex and un$/, of: 'ratio', must: 0.8, aim: 0.6 },
  { setting: null, rows: /^start to accept$/, of: 'value', must: 90, aim: 50 },
  { setting: null, rows: /^client status, whole process$/, of: 'value', must: 50, aim: 35 },
  { setting: null, rows: /^memory \(PSS\), each further/, of: 'value', must: 8, aim: 4 },
  { setting: null, rows: /^flood, /, of: 'value', must: 50, aim: 50 },
  { setting: null, rows: /^sharing, refused$/, of: 'value', must: 2, aim: 0 },
];

export function goalOf(row: string, setting: Setting): Goal | null {
  const isOf = (goal: Goal) => goal.setting === null || goal.setting === setting;
  return GOALS.find((goal) => isOf(goal) && goal.rows.test(row)) ?? null;
}

/** `reached` is the promise, `aim reached` is both. */
export function verdict(goal: Goal, found: number): 'aim reached' | 'reached' | 'NOT reached' {
  const isRate = goal.aim > goal.must;
  const reaches = (wanted: number) => (isRate ? found >= wanted : found <= wanted);
  if (reaches(goal.aim)) return 'aim reached';
  return reaches(goal.must) ? 'reached' : 'NOT reached';
}
