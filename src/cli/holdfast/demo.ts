import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { leaseTimes } from '../../lease/lease-times.ts';
import type { Host } from '../../rig/host.ts';
import { ALL_OURS, Rig, rigObstacle } from '../../rig/rig.ts';
import { type Outcome, pause, run } from '../../rig/run.ts';
import { mistakeText } from '../frame/help.ts';
import type { CommandPage } from '../frame/page.ts';
import { readWords } from '../frame/words.ts';
import { beOnlyDemo } from './demo-lock.ts';
import { DemoPage } from './demo-page.ts';
import {
  answer,
  command,
  countdown,
  countdownOver,
  heading,
  picture,
  say,
  why,
} from './demo-text.ts';
import { toTheEnd, untilAskedToEnd } from './interruption.ts';
import { leaseDemo } from './lease-demo.ts';
import { keepRig } from './rig.ts';

const VG = 'vg_demo';
const LV = 'data';
const NAME = `${VG}/${LV}`;
const IO_TIMEOUT_S = 1;
const INSTALL_MS = 600_000;

export const DEMO_PAGE = {
  name: 'holdfast demo',
  about: 'three hosts and one LUN on this machine, shown with real lvm commands',
  forms: [''],
  options: [{ name: 'once', about: 'end behind the demo, and keep no host up' }],
  text: [
    'Three hosts as namespaces, each with its own daemons, and one LUN, a file: a VG becomes shared, ' +
      'an LV is taken, refused, handed over, and taken from a host that died. It takes two minutes, ' +
      'and touches no disk or service of this machine.',
    'Afterwards the hosts stay up until Ctrl-C: holdfast rig enters them. One demo runs at a time. ' +
      'Without root it is shown on leases in a file alone; where lvm is missing, root has it installed ' +
      'by apt-get.',
  ],
  examples: [
    { line: 'holdfast demo', about: 'the demo, and then three hosts to try things on' },
    { line: 'holdfast demo --once', about: 'the demo alone' },
  ],
  exits: {
    0: 'it was shown, or ended by Ctrl-C',
    1: 'a step of it did not come out as it must',
    2: 'wrong words, or another demo runs',
  },
  seeAlso: ['holdfast-rig(8)', 'holdfast-who(8)'],
} as const satisfies CommandPage;

/** Three hosts and one LUN, shown with real lvm commands. @returns the exit status */
export async function demo(args: readonly string[]): Promise<number> {
  const words = readWords(DEMO_PAGE, args);
  if (!words.ok) {
    process.stderr.write(mistakeText(DEMO_PAGE, words.error));
    return 2;
  }
  say('holdfast: leases on the shared disk itself, so that two hosts never write one volume.');
  const asked = untilAskedToEnd();
  await installLvm();
  const obstacle = rigObstacle();
  if (obstacle !== null) return leaseDemo(obstacle, asked);
  const only = beOnlyDemo();
  if (!only.ok) {
    process.stderr.write(`holdfast demo: ${only.error}\n`);
    return 2;
  }
  const building = buildRig();
  const showing = building.then((rig) => DemoPage.start(rig.hosts, binFolder()));
  const whole = async (): Promise<'played'> => {
    const rig = await building;
    const { address } = await showing;
    await play(rig, address);
    if (!words.value.has('once')) await keepRig(rig, address, asked);
    return 'played';
  };
  return toTheEnd(asked, whole, async () => {
    const rig = await building.catch(() => null); // what was built until then is down already
    await (await showing.catch(() => null))?.close();
    await rig?.close();
    only.value.remove();
    return 'Everything is taken down: no process, device, mount or file is left.';
  });
}

/** lvm is the one thing the demo needs that npm does not bring. */
async function installLvm(): Promise<void> {
  if (process.getuid?.() !== 0 || existsSync('/usr/sbin/lvm')) return;
  if (!existsSync('/usr/bin/apt-get')) return;
  say('lvm is missing on this machine: installing the Debian package lvm2 …');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { timeoutMs: INSTALL_MS, env };
  await run('apt-get', ['update', '-qq'], options);
  const packages = ['install', '-y', '-qq', '--no-install-recommends', 'lvm2'];
  const done = await run('apt-get', packages, options);
  if (done.code !== 0) say(`  apt-get could not install it: ${done.stderr.trim()}`);
}

/** Of our programs, beside the folder that this one is in. */
function binFolder(): string {
  return join(dirname(__dirname), 'bin');
}

async function buildRig(): Promise<Rig> {
  const names = ['alpha', 'beta', 'gamma'];
  const hosts = names.map(() => ALL_OURS);
  return Rig.create({
    hosts,
    bin: binFolder(),
    vg: VG,
    hostNames: names,
    ioTimeoutS: IO_TIMEOUT_S,
  });
}

async function lvm(host: Host, ...words: readonly string[]): Promise<Outcome> {
  command(host.name, words);
  const [program = '', ...args] = words;
  const outcome = await host.lvm(program, ...args);
  answer(outcome);
  return outcome;
}

async function must(host: Host, ...words: readonly string[]): Promise<void> {
  const outcome = await lvm(host, ...words);
  if (outcome.code !== 0) throw new Error(`the demo cannot go on: ${words.join(' ')} failed`);
}

async function who(host: Host): Promise<void> {
  command(host.name, ['holdfast', 'who', NAME]);
  answer(await host.run(join(binFolder(), 'holdfast'), ['who', NAME]));
}

async function play(rig: Rig, address: string): Promise<void> {
  const [alpha, beta, gamma] = [rig.host(1), rig.host(2), rig.host(3)];
  say(`In a browser, as it happens: ${address}`);
  heading('1. Three hosts see one LUN');
  why(`${rig.lun.device} is the LUN; alpha, beta and gamma are namespaces with their own daemons.`);
  for (const host of rig.hosts) await host.startDaemons();
  why(
    'On each of them run our sanlock and our lvmlockd; the lvm commands are Debian’s, unmodified.',
  );

  heading('2. A volume group becomes shared');
  why('vgcreate --shared writes the lease areas into the volume group itself and joins alpha.');
  await must(alpha, 'vgcreate', '--shared', VG, rig.lun.device);
  for (const host of [beta, gamma]) await must(host, 'vgchange', '--lockstart', VG);
  why('Each host now renews its own lease on the disk: so other hosts know that it is alive.');

  heading('3. A logical volume for one host at a time');
  await must(alpha, 'lvcreate', '-an', '-L', '64m', '-n', LV, VG);
  await must(alpha, 'lvchange', '-aey', NAME);
  why('alpha holds it exclusively. beta asks too, and must be refused:');
  await lvm(beta, 'lvchange', '-aey', NAME);
  why('Who has it, then? beta reads the answer from the disk alone, without asking any daemon:');
  await who(beta);

  heading('4. Handed over, then shared');
  await must(alpha, 'lvchange', '-an', NAME);
  await must(beta, 'lvchange', '-aey', NAME);
  why('Released on alpha, it is free for beta at once.');
  await must(beta, 'lvchange', '-an', NAME);
  await must(alpha, 'lvchange', '-asy', NAME);
  await must(gamma, 'lvchange', '-asy', NAME);
  why('Shared activation: alpha and gamma together; an exclusive request has to wait for both.');
  await lvm(beta, 'lvchange', '-aey', NAME);
  await must(alpha, 'lvchange', '-an', NAME);
  await must(gamma, 'lvchange', '-an', NAME);
  await takeover(rig, alpha, gamma);
  await overview(beta);
}

/** A dead host releases nothing: the others wait until its watchdog has surely reset it. */
async function takeover(rig: Rig, alpha: Host, gamma: Host): Promise<void> {
  heading('5. A host dies');
  await must(alpha, 'lvchange', '-aey', NAME);
  alpha.crash();
  const crashedMs = performance.now();
  why('alpha is gone, as if its power were cut, with the volume still locked. gamma wants it:');
  await lvm(gamma, 'lvchange', '-aey', NAME);
  const t = rig.ioTimeoutS;
  const { hostDeadMs } = leaseTimes(t);
  why(
    `Safe time after alpha's last renewal: 8 × io timeout + 60 s = 8 × ${t} + 60 = ${hostDeadMs / 1000} s.`,
  );
  why('By then its watchdog has reset it, if it was only stuck. Not a moment before:');
  const safeMs = crashedMs + hostDeadMs;
  for (let leftMs = hostDeadMs; leftMs > 0; leftMs = safeMs - performance.now()) {
    countdown('protected for another', leftMs / 1000);
    await pause(1000);
  }
  countdownOver();
  await untilTaken(gamma);
  await who(gamma);
}

async function untilTaken(host: Host): Promise<void> {
  for (let attempt = 0; attempt < 30; attempt++) {
    const tried = await host.lvm('lvchange', '-aey', NAME);
    if (tried.code !== 0) {
      await pause(1000);
      continue;
    }
    command(host.name, ['lvchange', '-aey', NAME]);
    answer(tried);
    why('gamma has it: one volume, one writer, at every moment of this demo.');
    return;
  }
  throw new Error('the lease was not granted after the safe time: this must not happen');
}

/** What an administrator would look at first, on a host that took no part in the last step. */
async function overview(host: Host): Promise<void> {
  heading('6. All of it on one screen');
  why('holdfast status shows daemons, time that is left, hosts, and who has what. On beta:');
  command(host.name, ['holdfast', 'status']);
  picture(await host.run(join(dirname(__dirname), 'bin', 'holdfast'), ['status']));
  why('It wants a watchdog: hosts of the demo have none, as it would reset this whole machine.');
}
