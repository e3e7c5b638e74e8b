import type { CommandLine } from './command-line.ts';

export function isDirectAction(_action: string): boolean {
  return false;
}
export function takesPath(_action: string): boolean {
  return false;
}
export async function runDirectAction(
  _action: string,
  _context: { line: CommandLine; place: string | null; print: (text: string) => void },
): Promise<number> {
  return 1;
}
