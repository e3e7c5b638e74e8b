import { type Finding, needsAttention } from '../../../base/finding.ts';
import { plain } from '../../../base/plain-text.ts';
import type { Ask } from '../../../client/lease-holder.ts';
import { SanlockClient } from '../../../client/sanlock.ts';
import { type GuestSeen, guestFindings } from '../../../guard/check/guest-check.ts';
import { hookFindings } from '../../../guard/check/hook-findings.ts';
import { hostFindings } from '../../../guard/check/host-check.ts';
import { outdatedFindings, serviceFindings } from '../../../guard/check/service-findings.ts';
import { MonotonicClock } from '../../../platform/clock.ts';
import { findLibvirtDaemons } from '../../../platform/libvirt-daemons.ts';
import { PathProbe } from '../../../platform/path-probe.ts';
import { readWords } from '../../frame/words.ts';
import { readGuardConfFiles } from '../../guard/conf-files.ts';
import { endBesideHungCalls } from '../end-now.ts';
import { checkJson, guestText, hostText } from './check-text.ts';
import { findGuest, seeGuest } from './guest-facts.ts';
import { hookFacts, startedPrograms } from './host-facts.ts';
import { CHECK_PAGE } from './pages.ts';
import { type SeeingWorld, sanlockEndpoint, seeHost } from './see-host.ts';
import { seeService } from './service-seen.ts';

export interface CheckWorld {
  /** The folder of this program. */
  readonly beside: string;
  readonly print: (text: string) => void;
  readonly complain: (sentence: string) => void;
}

/** What came of a check; a sentence: it could not be made. */
type Checked = { readonly findings: readonly Finding[]; readonly guest: GuestSeen | null } | string;

/** @returns the exit status: 0 all is well, 1 something needs attention, 2 it could not be checked */
export async function guardCheck(args: readonly string[], world: CheckWorld): Promise<number> {
  const words = readWords(CHECK_PAGE, args);
  if (!words.ok) return complain(world, words.error);
  if (process.geteuid?.() !== 0) {
    return complain(world, 'only root may look at all that matters');
  }
  const probe = new PathProbe();
  const progress = (text: string) => {
    if (process.stderr.isTTY === true) process.stderr.write(text);
  };
  const seeing = { beside: world.beside, probe, clock: new MonotonicClock(), progress };
  const [guest = null] = words.value.operands;
  const wish = { guest, isJson: words.value.has('json') };
  const status = await checked(wish, world, seeing);
  if (probe.hangs) await endBesideHungCalls(status);
  return status;
}

interface Wish {
  /** null: the host. */
  readonly guest: string | null;
  readonly isJson: boolean;
}

async function checked(
  { guest: name, isJson }: Wish,
  world: CheckWorld,
  seeing: SeeingWorld,
): Promise<number> {
  const result = name === null ? await checkHost(seeing) : await checkGuest(name, seeing);
  if (typeof result === 'string') return complain(world, result);
  const { findings, guest } = result;
  if (isJson) world.print(checkJson(findings, guest));
  else world.print(guest === null ? hostText(findings) : guestText(guest, findings));
  return needsAttention(findings) ? 1 : 0;
}

async function checkHost(seeing: SeeingWorld): Promise<Checked> {
  return { findings: hostFindings(await seeHost(seeing)), guest: null };
}

async function checkGuest(name: string, { beside, probe, clock }: SeeingWorld): Promise<Checked> {
  const found = findGuest(name);
  if (!found.ok) return found.error;
  const config = readGuardConfFiles();
  if (!config.ok) return `the guard cannot start: ${config.error}`;
  const client = new SanlockClient(sanlockEndpoint(clock));
  const ask: Ask = (call, options) => client.call(call, options);
  const guest = await seeGuest({ ask, probe, config: config.value }, found.value);
  const daemons = findLibvirtDaemons();
  const hook = hookFacts(beside, daemons);
  const { answer, startedMs } = await seeService();
  // Of the host only what makes the guard of no effect, or have other leases than those shown.
  const ofHost = [
    ...hookFindings(hook),
    ...serviceFindings(answer, hook.hook.kind === 'file'),
    ...outdatedFindings(startedPrograms(daemons, startedMs)),
  ];
  const isOfOther = ({ kind }: Finding) => OF_GUESTS.has(kind);
  return {
    findings: [...guestFindings(guest), ...ofHost.filter((finding) => !isOfOther(finding))],
    guest,
  };
}

/** Findings of the service about guests: of this one its leases are shown. */
const OF_GUESTS: ReadonlySet<string> = new Set([
  ...['guestWithoutKeeper', 'leaseNotHeld', 'leaseOrphaned', 'leaseStillShared'],
]);

function complain(world: CheckWorld, sentence: string): number {
  world.complain(plain(sentence));
  return 2;
}
