import { dirname } from 'node:path';
import { type RunningLibvirt, tellLibvirt } from '../../../platform/libvirt-daemons.ts';
import { textOf } from '../../../platform/text-file.ts';
import { makeFolder, replaceFile } from '../../../platform/whole-file.ts';
import { PLACES } from './places.ts';

/**
 * libvirtd finds a hook that was not there when it started only when it is told. That it was told
 * can be seen nowhere, so it is written down: for `holdfast guard check`.
 */
const NOTE = '/run/holdfast/told-libvirt';
const NOTE_MODE = 0o644;

/** @returns false: it has ended */
export function tellAndNote(daemon: RunningLibvirt): boolean {
  if (!tellLibvirt(daemon)) return false;
  makeFolder(dirname(NOTE));
  const names = [...notes().filter((one) => one !== nameOf(daemon)), nameOf(daemon)];
  const text = `${names.slice(-KEPT).join('\n')}\n`;
  replaceFile({ path: NOTE, draft: `${NOTE}.new`, text, mode: NOTE_MODE });
  return true;
}

/** Whether it was told, since the hook was installed. */
export function wasTold(daemon: Pick<RunningLibvirt, 'program' | 'pid' | 'identity'>): boolean {
  return notes().includes(nameOf(daemon));
}

const KEPT = 10;

function notes(): readonly string[] {
  return (textOf(NOTE) ?? '').split('\n').filter(Boolean);
}

function nameOf({ program, pid, identity }: Parameters<typeof wasTold>[0]): string {
  return `${PLACES.hook} ${program} ${pid} ${identity}`;
}
