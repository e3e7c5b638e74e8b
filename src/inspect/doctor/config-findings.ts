import { type Diagnosis, diagnosis, manual, type Step } from './diagnosis.ts';
import { type DoctorFacts, lvmSettingsOf, type WdmdScript } from './facts.ts';

const EDIT_WHY = 'a file of yours: only you know what was meant';

/** What is wrong with the files that say how lvm and the daemons are to run. */
export function configFindings(facts: DoctorFacts): readonly Diagnosis[] {
  const { lvm, lvmFolder, unknownLvmKeys, hasLvmlockd } = facts.config;
  const found: Diagnosis[] = [];
  if (lvm === null) return [...sanlockConf(facts), ...defaults(facts), ...wdmdScripts(facts)];
  if (typeof lvm === 'string') found.push(unreadable(lvmFolder, lvm));
  if (unknownLvmKeys.length > 0) found.push(unknownKeys(lvmFolder, unknownLvmKeys));
  if (hasLvmlockd === false) found.push(withoutLvmlockd());
  else if (lvmSettingsOf(facts)?.usesLvmlockd === false && needsLvmlockd(facts)) {
    found.push(notUsed(facts));
  }
  return [...found, ...sanlockConf(facts), ...defaults(facts), ...wdmdScripts(facts)];
}

function unreadable(folder: string, reason: string): Diagnosis {
  return diagnosis('lvmConfUnreadable', {
    about: folder,
    found: `lvm cannot read its configuration in ${folder}`,
    evidence: [reason],
    plan: [manual('correct the line that lvm names', `$EDITOR ${folder}/lvm.conf`, EDIT_WHY)],
  });
}

function unknownKeys(folder: string, keys: readonly string[]): Diagnosis {
  const them = keys.length === 1 ? 'a key that lvm does not know' : 'keys that lvm does not know';
  return diagnosis('lvmConfUnknownKey', {
    about: folder,
    found: `the configuration in ${folder} has ${them}`,
    evidence: keys.map((key) => `lvmconfig --validate: "${key}" unknown`),
    plan: [
      manual('correct or remove it; lvmconfig --list names the keys', 'lvmconfig --list', EDIT_WHY),
    ],
  });
}

function withoutLvmlockd(): Diagnosis {
  const why = 'another build of lvm is another package';
  return diagnosis('lvmWithoutLvmlockd', {
    found: 'lvm was built without lvmlockd',
    evidence: ['lvm version: the configuration has no --enable-lvmlockd-sanlock'],
    plan: [manual('install an lvm that has it (Debian: lvm2 and lvm2-lockd)', null, why)],
  });
}

/** Where nothing is shared, and no lvmlockd runs, lvm has no need for it. */
function needsLvmlockd({ snapshot }: DoctorFacts): boolean {
  const runs = snapshot.daemons.some(
    ({ name, state }) => name === 'lvmlockd' && state !== 'absent',
  );
  return runs || snapshot.vgs.length > 0;
}

function notUsed({ config, snapshot }: DoctorFacts): Diagnosis {
  const shared = snapshot.vgs.map(({ name, lockType }) => `VG ${name} has lock type ${lockType}`);
  return diagnosis('lvmlockdNotUsed', {
    about: config.lvmFolder,
    found: 'lvm does not use lvmlockd on this host',
    evidence: ['lvmconfig: global/use_lvmlockd=0', ...shared],
    plan: [
      manual(
        `set use_lvmlockd = 1 in the section global of ${config.lvmFolder}/lvm.conf`,
        `$EDITOR ${config.lvmFolder}/lvm.conf`,
        EDIT_WHY,
      ),
    ],
  });
}

function sanlockConf({ config }: DoctorFacts): readonly Diagnosis[] {
  const found: Diagnosis[] = [];
  for (const [verdict, kind, what] of [
    ['refused', 'sanlockConfRefused', 'a setting of sanlock is refused'],
    ['questionable', 'sanlockConfQuestionable', 'a setting of sanlock is not what it looks like'],
  ] as const) {
    const evidence = config.sanlockConf.filter((one) => one.verdict === verdict);
    if (evidence.length === 0) continue;
    found.push(
      diagnosis(kind, {
        about: 'sanlock',
        found: what,
        evidence: evidence.map(({ text }) => text),
        plan: [
          manual('correct it; this checks again', 'sanlock daemon --check', EDIT_WHY),
          manual(
            'it counts from the next start of sanlock on',
            'holdfast upgrade sanlock',
            'leases are held: an upgrade carries them over, a restart of the original does not',
          ),
        ],
      }),
    );
  }
  return found;
}

function defaults({ config }: DoctorFacts): readonly Diagnosis[] {
  return config.defaults.map(({ path, line, text }) =>
    diagnosis('defaultsLineSkipped', {
      about: path,
      found: `line ${line} of ${path} has no effect`,
      evidence: [`${path}:${line}: ${text}`],
      plan: [manual('write NAME="value", without export and blanks', null, EDIT_WHY)],
    }),
  );
}

/** What is seen of a script that does not run, and what to do about it. */
const SCRIPTS: Readonly<Record<WdmdScript['why'], (path: string) => readonly [string, Step]>> = {
  notExecutable: (path) => [
    `${path}: its owner may not execute it`,
    manual(
      'make it executable, if it is to run',
      `chmod u+x ${path}`,
      'a script that fails has this host reset; one that was switched off this way would run',
    ),
  ],
  tooMany: (path) => [
    `${path}: eight others come before it by name`,
    manual('remove some, or join them into one', null, EDIT_WHY),
  ],
  scriptsAreOff: (path) => [
    `${path} is executable, and wdmd runs without -S 1`,
    manual(
      'start wdmd with -S 1, or take the script away',
      null,
      'a script that fails has this host reset',
    ),
  ],
};

function wdmdScripts({ config }: DoctorFacts): readonly Diagnosis[] {
  return config.wdmdScripts.map(({ path, why }) => {
    const [seen, step] = SCRIPTS[why](path);
    const found = `wdmd does not run ${path}`;
    return diagnosis('wdmdScriptSkipped', { about: path, found, evidence: [seen], plan: [step] });
  });
}
