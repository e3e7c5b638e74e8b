import { hasControl } from '../base/plain-text.ts';
import { fail, ok, type Result } from '../base/result.ts';

/** What the guard's hook says when it has refused: nothing else in it ends so. */
export const REFUSED_STATUS = 3;

/** The line by which a hook is known as the guard's, of whatever release. */
const MARK = '# holdfast guard: asks for the leases of a guest, before libvirt starts it.';

/** What the hook runs; all paths absolute. */
export interface HookPrograms {
  readonly node: string;
  /** `dist/guard-hook.cjs`. */
  readonly hook: string;
  /** Where the guard listens. */
  readonly socket: string;
  /** Node's own arguments for a program of ours. */
  readonly nodeArguments: readonly string[];
}

/**
 * The script of the hook, for `/bin/sh`. A start waits for its leases, and nothing but a success
 * lets it go on. A guest that runs already is ended only when the guard itself says so: libvirt
 * would kill it for any other trouble as well. Node gets no variable of libvirtd's environment, and
 * `env` stands before it because AppArmor's profile of libvirtd lets hooks run what is in /usr/bin.
 * @returns the script, or why there is none, in a sentence
 */
export function hookScript(programs: HookPrograms): Result<string, string> {
  const { node, hook, socket, nodeArguments } = programs;
  for (const path of [node, hook, socket]) {
    if (!path.startsWith('/') || hasControl(path)) {
      return fail(`a hook cannot run ${JSON.stringify(path)}: wanted a plain absolute path`);
    }
  }
  const words = [node, ...nodeArguments, hook, socket].map(quoted).join(' ');
  return ok(`#!/bin/sh
${MARK}
# Written by "holdfast guard install", taken away by "holdfast guard uninstall".
ask() {
  /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin ${words} "$@"
}
case "$2" in
  start | migrate)
    ask "$1" "$2" || exit 1
    ;;
  reconnect | release)
    ask "$1" "$2"
    [ $? -ne ${REFUSED_STATUS} ] || exit 1
    ;;
  *)
    cat >/dev/null
    ;;
esac
exit 0
`);
}

/** Whether a file is a hook of the guard, of whatever release. */
export function isGuardHook(text: string): boolean {
  return text.startsWith('#!/bin/sh\n') && text.split('\n', 2)[1] === MARK;
}

/** As the shell takes it for one word, whatever is in it. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
