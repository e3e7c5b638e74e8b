import koffi from 'koffi';

const F_SETFD = 2;
const SIGPIPE = 13;
const SIGTERM = 15;
const SIG_DFL = 0;
const SIG_IGN = 1;

/**
 * execv: the process becomes `command[0]`, with its pid, and with the standard descriptors and
 * `keepOpen` open. Returns only on failure, with the errno.
 * @param ignoresTermination SIGTERM does not end it
 */
export function becomeProgram(
  command: readonly string[],
  keepOpen: readonly number[],
  { ignoresTermination = false }: { readonly ignoresTermination?: boolean } = {},
): number {
  const libc = koffi.load('libc.so.6');
  const fcntl = libc.func('int fcntl(int fd, int cmd, int arg)');
  const execv = libc.func('int execv(const char *path, const char **argv)');
  const signal = libc.func('intptr_t signal(int number, intptr_t handler)');
  signal(SIGPIPE, SIG_DFL); // Node ignores it, which the new program would inherit
  if (ignoresTermination) signal(SIGTERM, SIG_IGN);
  // Node marks even the standard descriptors close-on-exec.
  for (const fd of [0, 1, 2, ...keepOpen]) fcntl(fd, F_SETFD, 0);
  execv(command[0], [...command, null]);
  return koffi.errno();
}
