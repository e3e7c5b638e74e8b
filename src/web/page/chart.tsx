import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { timeText } from './words.tsx';

/** [when (seconds since 1970), value]; a null is a gap. */
export type Point = readonly [number, number | null];

export interface Line {
  readonly label: string;
  readonly points: readonly Point[];
  readonly value: (value: number) => string;
  /** Names of colours in page.css. */
  readonly colour: string;
  readonly isFilled?: boolean;
  /** A horizontal line that is not to be crossed. */
  readonly limit?: { readonly at: number; readonly colour: string };
  readonly highest?: number;
}

const HEIGHT_PX = 150;

/** A line over time. What it shows is said in words beside it: this is for the eye alone. */
export function Chart({ line, theme }: { readonly line: Line; readonly theme: string }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(line);
  latest.current = line;
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const made = new uPlot(optionsOf(latest, element), dataOf(latest.current), element);
    plot.current = made;
    const size = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: HEIGHT_PX }),
    );
    size.observe(element);
    return () => {
      size.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [theme, line.label]);
  useEffect(() => {
    plot.current?.setData(dataOf(line));
  }, [line]);
  return <div class="chart" ref={box} aria-hidden="true" />;
}

function dataOf({ points }: Line): uPlot.AlignedData {
  return [points.map(([at]) => at), points.map(([, value]) => value)];
}

function colourOf(element: HTMLElement, name: string): string {
  const probe = document.createElement('span');
  probe.className = `probe ${name}`;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function optionsOf(latest: { readonly current: Line }, element: HTMLElement): uPlot.Options {
  const line = latest.current;
  const [stroke, text, grid] = [line.colour, 'ink-soft', 'rule'].map((name) =>
    colourOf(element, name),
  );
  const font = `11px ${getComputedStyle(element).fontFamily}`;
  const shared = { stroke: text ?? '', font, grid: { stroke: grid ?? '', width: 1 } };
  const ticks = { show: false };
  return {
    width: element.clientWidth,
    height: HEIGHT_PX,
    legend: { show: false },
    cursor: { y: false, points: { size: 7 } },
    scales: {
      y: {
        range: (_, low, high) => [Math.min(0, low), Math.max(line.highest ?? 0, high * 1.15, 1)],
      },
    },
    axes: [
      {
        ...shared,
        ticks,
        space: 70,
        size: 28,
        values: (_, times) => times.map(axisTime),
      },
      {
        ...shared,
        ticks,
        size: 58,
        values: (_, values) => values.map((value) => line.value(value)),
      },
    ],
    series: [
      {},
      {
        label: line.label,
        stroke: stroke ?? '',
        width: 1.5,
        ...(line.isFilled === true ? { fill: faint(stroke ?? '') } : {}),
        points: { show: line.points.length < 60, size: 4 },
      },
    ],
    hooks: {
      draw: [(plot) => drawLimit(plot, line, element)],
      setCursor: [(plot) => showValue(plot, latest.current, element)],
    },
  };
}

const AXIS_TIME = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
});

function axisTime(seconds: number): string {
  return AXIS_TIME.format(seconds * 1000);
}

function faint(colour: string): string {
  return `color-mix(in srgb, ${colour} 12%, transparent)`;
}

function drawLimit(plot: uPlot, { limit }: Line, element: HTMLElement): void {
  if (limit === undefined) return;
  const y = Math.round(plot.valToPos(limit.at, 'y', true));
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = colourOf(element, limit.colour);
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}

/** The value under the pointer, as a text in the corner. */
function showValue(plot: uPlot, line: Line, element: HTMLElement): void {
  const point = line.points[plot.cursor.idx ?? -1];
  const [at, value] = point ?? [0, null];
  const text = value === null ? '' : `${line.value(value)} at ${timeText(at * 1000)}`;
  element.dataset['value'] = text;
}
