import type { DaemonKind } from './daemon.ts';

const SERVED = ['-D', '-w', '0', '-l', '0', '-U', 'root', '-G', 'root', '-e', '{host}'];

export const OURS: DaemonKind = {
  label: 'holdfast',
  command: [process.execPath, 'dist/sanlock-daemon.cjs', ...SERVED],
  client: ['bin/sanlock'],
};

export const THEIRS: DaemonKind = {
  label: 'C sanlock',
  command: ['sanlock', 'daemon', '-h', '0', ...SERVED],
  client: ['sanlock'],
};
