import { plain, plainJson } from '../../../base/plain-text.ts';
import { paintFor } from '../status/paint.ts';
import { userWord } from './holder-text.ts';
import { hostNameOf, livenessOf, type WatchedHolder } from './holder-watch.ts';
import { whoJson } from './json.ts';
import { listText } from './list-text.ts';
import { LeaseWatch, type WhoAnswer } from './look.ts';
import type { WhoTarget } from './target.ts';
import { whoText } from './text.ts';
import { clockText } from './times.ts';
import type { WhoWorld } from './world.ts';

export interface FollowView {
  readonly isJson: boolean;
  readonly isList: boolean;
  readonly stdout: NodeJS.WriteStream;
}

const EVERY_MS = 1000;
/** Of many leases less often: a look takes a fifth of the time at most. */
const PAUSE_LOOKS = 4;
const HOME_AND_CLEAR = '\u001b[H\u001b[J';

/**
 * Goes on until the process is ended: on a terminal the whole, again and again; else a line for
 * each change, or with JSON the whole as one line for each change.
 */
export async function follow(
  world: WhoWorld,
  targets: readonly WhoTarget[],
  view: FollowView,
): Promise<never> {
  const watch = new LeaseWatch(world, targets);
  const changes = new Changes();
  for (;;) {
    const beganMs = world.nowMs();
    await watch.readAll();
    const answers = watch.answers();
    const wallMs = world.wallMs();
    const lines = changes.since(answers, wallMs);
    const isScreen = view.stdout.isTTY === true && !view.isJson;
    if (isScreen) view.stdout.write(`${HOME_AND_CLEAR}${screenText(answers, wallMs, view)}`);
    else if (view.isJson && lines.length > 0) {
      view.stdout.write(`${plainJson({ ...Object(whoJson(answers)), wallMs }, 0)}\n`);
    } else view.stdout.write(lines.map((line) => `${line}\n`).join(''));
    await world.sleep(Math.max(EVERY_MS, PAUSE_LOOKS * (world.nowMs() - beganMs)));
  }
}

function screenText(
  answers: readonly WhoAnswer[],
  wallMs: number,
  { isList, stdout }: FollowView,
): string {
  const head = `${clockText(wallMs)}\n`;
  if (isList) return `${head}${listText(answers, paintFor(stdout, process.env))}`;
  return head + answers.map((answer) => whoText(answer, { guests: null, wallMs })).join('');
}

/** What has changed since the look before, a line for each holder that came, went or fell silent. */
export class Changes {
  readonly #before = new Map<WhoTarget, ReadonlyMap<string, string>>();

  since(answers: readonly WhoAnswer[], wallMs: number): readonly string[] {
    return answers.flatMap((answer) => {
      const { target } = answer;
      const before = this.#before.get(target) ?? null;
      const now = statesOf(answer);
      this.#before.set(target, now);
      const said = (text: string) => plain(`${clockText(wallMs)} ${target.label}: ${text}`);
      const gone = [...(before?.keys() ?? [])].filter((key) => !now.has(key));
      const news = [...now].filter(([key, state]) => before?.get(key) !== state);
      const isFirstFree = before === null && now.size === 0;
      const isFree = isFirstFree || (gone.length > 0 && now.size === 0);
      return [
        ...news.map(([key, state]) => said(`${key} ${state}`)),
        ...(now.size > 0 ? gone.map((key) => said(`${key} has it no more`)) : []),
        ...(isFree ? [said('free')] : []),
      ];
    });
  }
}

/** `exclusive host-1 (1), generation 3, web (4711)` → `alive`; of a lease unread, why. */
function statesOf({ lease, holders }: WhoAnswer): ReadonlyMap<string, string> {
  if (!lease.ok) return new Map([['not read:', lease.error]]);
  const { lockspaceName, damaged } = lease.value;
  const states = holders.map((watched) => {
    const { holder } = watched;
    const user = userOf(watched, lockspaceName);
    const name = `${holder.mode} ${hostNameOf(watched)} (${holder.hostId})`;
    return [`${name}, generation ${holder.generation}${user}:`, livenessOf(watched)] as const;
  });
  const damage = damaged.map(({ hostId }) => [`block of host id ${hostId}:`, 'damaged'] as const);
  return new Map([...states, ...damage]);
}

function userOf(watched: WatchedHolder, lockspaceName: string): string {
  const user = userWord(watched, lockspaceName);
  return user === '' ? '' : `, ${user}`;
}
