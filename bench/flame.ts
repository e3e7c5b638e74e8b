import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';

/** As V8's profiler gives it. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
    readonly columnNumber: number;
  };
  readonly children?: readonly number[];
}

/** Time within one function as called from its parents. */
export interface Frame {
  readonly name: string;
  readonly place: string;
  totalUs: number;
  readonly called: Map<string, Frame>;
}

/** Idle time is left out, and calls of one function from one place are one frame. */
export function framesOf(profile: CpuProfile): Frame {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map<number, number>();
  for (const { id, children } of profile.nodes) {
    for (const child of children ?? []) parents.set(child, id);
  }
  const selfUs = new Map<number, number>();
  profile.samples.forEach((id, i) => {
    selfUs.set(id, (selfUs.get(id) ?? 0) + (profile.timeDeltas[i] ?? 0));
  });
  const places = new Places();
  const all: Frame = { name: 'all', place: '', totalUs: 0, called: new Map() };
  for (const [leaf, us] of selfUs) {
    const stack: ProfileNode[] = [];
    for (let id: number | undefined = leaf; id !== undefined; id = parents.get(id)) {
      const node = nodes.get(id);
      if (node !== undefined) stack.unshift(node);
    }
    if (stack.at(-1)?.callFrame.functionName === '(idle)') continue;
    add(all, stack.slice(1), us, places); // without V8's root
  }
  return all;
}

function add(all: Frame, stack: readonly ProfileNode[], us: number, places: Places): void {
  all.totalUs += us;
  let frame = all;
  for (const { callFrame } of stack) {
    const name = callFrame.functionName || '(anonymous)';
    const place = places.of(callFrame);
    const key = `${name} ${place}`;
    const next = frame.called.get(key) ?? { name, place, totalUs: 0, called: new Map() };
    next.totalUs += us;
    frame.called.set(key, next);
    frame = next;
  }
}

/** Places in the sources, by the maps beside the programs. */
class Places {
  readonly #maps = new Map<string, SourceMap | null>();

  of({ url, lineNumber, columnNumber }: ProfileNode['callFrame']): string {
    if (url === '') return '';
    const path = url.replace(/^file:\/\//, '');
    const map = this.#maps.get(path) ?? readMap(path);
    this.#maps.set(path, map);
    const found = map?.findEntry(lineNumber, columnNumber);
    if (found === undefined || !('originalSource' in found)) return `${path}:${lineNumber + 1}`;
    return `${found.originalSource.replace(/^(\.\.\/)+/, '')}:${found.originalLine + 1}`;
  }
}

function readMap(path: string): SourceMap | null {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${path}.map`, 'utf8')));
  } catch {
    return null; // Node's own code
  }
}

const WIDTH = 1400;
const ROW = 17;
const LETTER = 6.2;
const LEAST_WIDTH = 0.4;
const COLOURS = { ours: '#f4a259', node: '#8cb369', native: '#bcb8b1' } as const;

/** One picture of all graphs, each on its own ground; a frame's full name shows on hovering. */
export function flameSvg(graphs: readonly { readonly title: string; readonly all: Frame }[]) {
  const parts: string[] = [];
  let y = 0;
  for (const { title, all } of graphs) {
    const percent = (us: number) => ((100 * us) / Math.max(1, all.totalUs)).toFixed(1);
    y += 2 * ROW;
    const busyMs = (all.totalUs / 1000).toFixed(0);
    parts.push(`<text x="4" y="${y - 6}" class="t">${escaped(title)}: ${busyMs} ms busy</text>`);
    const top = y;
    const draw = (frame: Frame, x: number, depth: number): void => {
      const width = (WIDTH * frame.totalUs) / Math.max(1, all.totalUs);
      if (width < LEAST_WIDTH) return;
      const at = top + depth * ROW;
      y = Math.max(y, at + ROW);
      const full = `${frame.name} ${frame.place} ${percent(frame.totalUs)} %`;
      const label =
        width > 3 * LETTER ? escaped(frame.name.slice(0, Math.floor(width / LETTER))) : '';
      parts.push(
        `<g><title>${escaped(full)}</title><rect x="${x.toFixed(1)}" y="${at}" ` +
          `width="${width.toFixed(1)}" height="${ROW - 1}" fill="${colourOf(frame)}"/>` +
          `<text x="${(x + 2).toFixed(1)}" y="${at + 12}">${label}</text></g>`,
      );
      let next = x;
      for (const called of [...frame.called.values()].sort((a, b) => b.totalUs - a.totalUs)) {
        draw(called, next, depth + 1);
        next += (WIDTH * called.totalUs) / Math.max(1, all.totalUs);
      }
    };
    draw(all, 0, 0);
  }
  const style = 'text{font:11px monospace;pointer-events:none}.t{font-size:14px}';
  const size = `width="${WIDTH}" height="${y + ROW}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size}><style>${style}</style>${parts.join('\n')}</svg>\n`;
}

function colourOf({ place }: Frame): string {
  if (place === '') return COLOURS.native;
  return /^src\//.test(place) ? COLOURS.ours : COLOURS.node;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
