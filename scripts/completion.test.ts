import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bashText } from '../src/cli/frame/completion-bash.ts';
import { functionName } from '../src/cli/frame/completion-shell.ts';
import { zshText } from '../src/cli/frame/completion-zsh.ts';
import { allCompletions } from './completions.ts';

/** What bash and zsh complete, each as it is, with what names there are given by small programs. */

const completions = await allCompletions();
const BASH_COMPLETION = '/usr/share/bash-completion/bash_completion';
/** A shell that waits for what hangs is ended then, and the test has failed. */
const HUNG_MS = 40_000;

function without(shell: string): { readonly skip?: string } {
  const isThere = spawnSync(shell, ['-c', 'exit 0'], { timeout: 10_000 }).status === 0;
  return isThere ? {} : { skip: `${shell} is not installed` };
}

interface Place {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
}

/** A folder with the completions, and with programs of these texts before all others. */
async function withPlace(
  programs: Readonly<Record<string, string>>,
  use: (place: Place) => Promise<void> | void,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-completion-'));
  try {
    for (const completion of completions) {
      writeFileSync(join(folder, `${completion.program}.bash`), bashText(completion));
      writeFileSync(join(folder, `_${completion.program}`), zshText(completion));
    }
    for (const [name, text] of Object.entries(programs)) {
      writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`);
      chmodSync(join(folder, name), 0o755);
    }
    const PATH = `${folder}:${process.env['PATH'] ?? ''}`;
    await use({ folder, env: { ...process.env, PATH, TERM: 'dumb', HOME: folder } });
  } finally {
    endHung(folder);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** No signal but SIGKILL ends it, which it gets when the test ends. */
const HANGS = `echo $$ >>"$0.pids" || exit; trap '' TERM INT HUP; exec sleep 60`;

function endHung(folder: string): void {
  for (const name of ['lvm', 'timeout']) {
    const path = join(folder, `${name}.pids`);
    const pids = existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];
    for (const pid of pids) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // It has ended.
      }
    }
  }
}

/** What bash would offer behind that line. */
function offered({ folder, env }: Place, line: string, before = ''): readonly string[] {
  const [program = ''] = line.split(' ');
  const script = `${before}
    source "$1"; COMP_LINE=$2; COMP_POINT=\${#COMP_LINE}
    "_holdfast_start_$3"; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const args = ['-c', script, 'bash', join(folder, `${program}.bash`), line, functionName(program)];
  const ran = spawnSync('bash', ['--norc', ...args], { env, encoding: 'utf8', timeout: HUNG_MS });
  assert.deepEqual([ran.status, ran.stderr], [0, ''], line);
  return ran.stdout.split('\n').filter(Boolean);
}

const NAMES = {
  lvm: `case $* in vgs*) printf '  vg1\\n  vg-2\\n  $(reboot)\\n  a b\\n' ;;
    lvs*) printf '  vg1/data\\n  vg1/lv;x\\n  vg-2/x\\n' ;; esac`,
  sanlock:
    "printf 'daemon h\\np -1 x\\ns LS1:1:/dev/a:0 \\ns L`x`:1:/d:0\\ns LS2:3:/dev/b:0 ADD\\n'",
};

test('bash: commands, options, values and names', without('bash'), async () => {
  await withPlace(NAMES, (place) => {
    const wanted: readonly (readonly [line: string, words: readonly string[]])[] = [
      ['holdfast gu', ['guard']],
      ['holdfast guard ch', ['check']],
      ['holdfast guard check --', ['--json', '--help']],
      ['holdfast help ex', ['explain']],
      ['holdfast wait --for 3 san', ['sanlock']],
      ['holdfast wait --for ', []],
      ['holdfast repair vg1/', ['vg1/data']],
      ['holdfast repair --lockspace=/etc/host.c', ['/etc/host.conf']],
      ['lvmlockctl --kill ', ['vg1', 'vg-2']],
      ['lvmlockctl -k vg-', ['vg-2']],
      ['lvmlockctl --lock-mode=', ['ex', 'sh', 'un']],
      ['lvmlockd --kill-action e', ['error']],
      ['sanlock client sta', ['status']],
      ['sanlock status -o ', ['p', 's']],
      ['sanlock client rem_lockspace -s ', ['LS1:1:/dev/a:0', 'LS2:3:/dev/b:0']],
      // To bash a word ends at a colon: what is before it stays.
      ['sanlock client rem_lockspace -s LS2:', ['3:/dev/b:0']],
      ['sanlock direct dump /etc/host.c', ['/etc/host.conf']],
      ['wdmd -S ', ['0', '1']],
      ['sanlk-reset reset --watch', ['--watchdog']],
      ['fence_sanlock -o s', ['status', 'sanlock_init']],
      ['fence_sanlockd -', ['-p', '-i', '-D', '-h', '--help', '-w', '-s', '-1']],
    ];
    for (const [line, words] of wanted) assert.deepEqual(offered(place, line), words, line);
    for (const before of ['IFS=:', 'set -u']) {
      assert.deepEqual(offered(place, 'holdfast gu', before), ['guard'], before);
    }
    if (!existsSync(BASH_COMPLETION)) return;
    for (const [line, words] of wanted) {
      assert.deepEqual(offered(place, line, `source ${BASH_COMPLETION}`), words, line);
    }
  });
});

test('bash: a program that hangs offers nothing, and hangs no shell', without('bash'), async () => {
  await withPlace({ lvm: HANGS }, (place) => {
    assert.deepEqual(offered(place, 'lvmlockctl --kill '), []);
  });
  // As a process that waits for a disk: nothing ends it.
  await withPlace({ timeout: HANGS }, (place) => {
    assert.deepEqual(offered(place, 'lvmlockctl --kill '), []);
  });
});

/** Types keys into a shell on a terminal. @returns what it printed behind the last `READY` */
async function typed(
  shell: string,
  { folder, env }: Place,
  keys: { readonly first: string; readonly typing: string; readonly until: RegExp },
): Promise<string> {
  const child = spawn('script', ['-qfec', shell, '/dev/null'], { cwd: folder, env });
  let seen = '';
  const has = async (pattern: RegExp) => {
    const endMs = performance.now() + HUNG_MS;
    while (!pattern.test(seen) && performance.now() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.match(seen, pattern);
  };
  child.stdout.on('data', (bytes: Buffer) => {
    seen += bytes.toString('utf8');
  });
  try {
    child.stdin.write(`${keys.first}\necho RE''ADY\n`);
    await has(/^READY\r?$/m);
    child.stdin.write(keys.typing);
    await has(keys.until);
    return seen;
  } finally {
    child.stdin.end('\nexit\n');
    await new Promise((resolve) => child.once('close', resolve));
  }
}

const SAYS = (program: string) => `${program}() { echo "GOT:$*"; }`;

test('bash: what is typed on a terminal is completed', without('bash'), async () => {
  await withPlace(NAMES, async (place) => {
    const first = `${SAYS('holdfast')}; ${SAYS('lvmlockctl')}; for f in *.bash; do source ./$f; done`;
    const bash = 'bash --norc --noprofile -i';
    await typed(bash, place, {
      first,
      typing: 'holdfast gua\tche\t--js\t\n',
      until: /GOT:guard check --json/,
    });
    await typed(bash, place, {
      first,
      typing: 'lvmlockctl --ki\tvg-\t\n',
      until: /GOT:--kill vg-2/,
    });
  });
});

test('zsh: what is typed on a terminal is completed', without('zsh'), async () => {
  await withPlace(NAMES, async (place) => {
    const first = [
      "PS1='> '; unsetopt zle_bracketed_paste; unset zle_bracketed_paste",
      'fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D',
      `${SAYS('holdfast')}; ${SAYS('lvmlockctl')}; ${SAYS('sanlock')}`,
    ].join('\n');
    const zsh = 'zsh -f -i';
    await typed(zsh, place, {
      first,
      typing: 'holdfast gua\tche\t--js\t\n',
      until: /GOT:guard check --json/,
    });
    await typed(zsh, place, {
      first,
      typing: 'lvmlockctl --ki\tvg-\t\n',
      until: /GOT:--kill vg-2/,
    });
    await typed(zsh, place, {
      first,
      typing: 'lvmlockctl --lock-mode=u\t\n',
      until: /GOT:--lock-mode=un/,
    });
    await typed(zsh, place, {
      first: first.replace('sanlock()', 'other()'),
      typing: 'sanlock client rem_lockspace -s LS2\tx\n',
      until: /LS2:3:\/dev\/b:0/,
    });
  });
});

test('zsh: a program that hangs offers nothing, and hangs no shell', without('zsh'), async () => {
  await withPlace({ timeout: HANGS }, async (place) => {
    const first = [
      "PS1='> '; unset zle_bracketed_paste",
      'fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D',
      SAYS('lvmlockctl'),
    ].join('\n');
    await typed('zsh -f -i', place, {
      first,
      typing: 'lvmlockctl --kill \tx\n',
      until: /GOT:--kill x/,
    });
  });
});
