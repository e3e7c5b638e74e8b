import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { NARROW, useMedia } from './clock.ts';

/**
 * A table of which only the rows in sight are in the document, however many there are. It has one
 * stop for the Tab key; the arrow keys, Home, End, PageUp and PageDown go from row to row.
 */

/** As page.css has them: every row is as high. */
const ROW_PX = 28;
const ROW_NARROW_PX = 40;
/** Rows beyond both ends of what is in sight, so that a fast scroll shows no gap. */
const MARGIN_ROWS = 6;

export interface Column<Row> {
  readonly name: ComponentChildren;
  /** Of the header and its cells: a class of page.css. */
  readonly look?: string;
  readonly sort?: {
    readonly direction: 'ascending' | 'descending' | 'none';
    readonly toggle: () => void;
  };
  cell(row: Row): ComponentChildren;
}

interface TableProps<Row> {
  readonly label: string;
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row>[];
  keyOf(row: Row): string;
  /** What the button in the first cell is for, which has its text. */
  onChoose(row: Row): void;
  readonly empty: string;
}

export function Table<Row>(props: TableProps<Row>) {
  const { label, rows, columns, keyOf, onChoose, empty } = props;
  const rowPx = useMedia(NARROW) ? ROW_NARROW_PX : ROW_PX;
  const box = useRef<HTMLDivElement>(null);
  const { from, to } = useWindow(box, rows.length, rowPx);
  const { stop, onFocus, onBlur, onKeyDown } = useRowKeys(box, {
    from,
    to,
    count: rows.length,
    rowPx,
  });
  // As high as all rows and the heading, whichever are in the document: else the browser would
  // scroll back while rows change places.
  const px = (count: number) => `${count * rowPx}px`;
  if (rows.length === 0) return <p class="empty">{empty}</p>;
  return (
    <div class="rows" ref={box}>
      <div style={{ height: px(rows.length + 1), paddingTop: px(from) }}>
        <table aria-label={label} aria-rowcount={rows.length + 1}>
          <thead>
            <tr aria-rowindex={1}>
              {columns.map((column) => (
                <Heading column={column} />
              ))}
            </tr>
          </thead>
          <tbody onKeyDown={onKeyDown}>
            {rows.slice(from, to).map((row, place) => (
              <TableRow
                key={keyOf(row)}
                row={row}
                number={from + place}
                columns={columns}
                isStop={from + place === stop}
                onFocus={onFocus}
                onBlur={onBlur}
                onChoose={onChoose}
              />
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

interface TableRowProps<Row> {
  readonly row: Row;
  readonly number: number;
  readonly columns: readonly Column<Row>[];
  readonly isStop: boolean;
  readonly onFocus: (number: number) => void;
  readonly onBlur: () => void;
  readonly onChoose: (row: Row) => void;
}

function TableRow<Row>(props: TableRowProps<Row>) {
  const { row, number, columns, isStop, onFocus, onBlur, onChoose } = props;
  const [first, ...others] = columns;
  return (
    <tr data-row={number} aria-rowindex={number + 2}>
      <th scope="row" class={first?.look ?? ''}>
        <button
          type="button"
          class="row"
          tabIndex={isStop ? 0 : -1}
          onFocus={() => onFocus(number)}
          onBlur={onBlur}
          onClick={() => onChoose(row)}
        >
          {first?.cell(row)}
        </button>
      </th>
      {others.map((column) => (
        <td class={column.look ?? ''}>{column.cell(row)}</td>
      ))}
    </tr>
  );
}

interface Shown {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly rowPx: number;
}

/** The row at which the Tab key stops, and what the other keys do. */
function useRowKeys(box: { readonly current: HTMLElement | null }, shown: Shown) {
  const { from, to, count, rowPx } = shown;
  const [active, setActive] = useState(0);
  /** Set by a key: the row that is to have the focus once it is in the document. */
  const wanted = useRef<number | null>(null);
  /** The row that has the focus; a row that is moved in the document loses it. */
  const focused = useRef<number | null>(null);
  const isRendering = useRef(false);
  isRendering.current = true;
  useLayoutEffect(() => {
    isRendering.current = false;
    const isLost = document.activeElement === document.body;
    const row = wanted.current ?? (isLost ? focused.current : null);
    const button = box.current?.querySelector<HTMLButtonElement>(`[data-row="${row}"] button`);
    if (row === null || !button) return;
    wanted.current = null;
    button.focus({ preventScroll: true });
  });
  const onFocus = (number: number) => {
    focused.current = number;
    setActive(number);
  };
  const onBlur = () => {
    if (!isRendering.current) focused.current = null;
  };
  const stop = active >= from && active < to ? active : from;
  const onKeyDown = (event: KeyboardEvent) => {
    const target = destination(event.key, stop, count, pageRows(box.current, rowPx));
    if (target === null) return;
    event.preventDefault();
    wanted.current = target;
    setActive(target);
    showRow(box.current, target, rowPx);
  };
  return { stop, onFocus, onBlur, onKeyDown };
}

function Heading<Row>({ column }: { readonly column: Column<Row> }) {
  const { name, look = '', sort } = column;
  if (sort === undefined) {
    return (
      <th scope="col" class={look}>
        {name}
      </th>
    );
  }
  const arrow = { ascending: ' ↑', descending: ' ↓', none: '' }[sort.direction];
  return (
    <th scope="col" class={look} aria-sort={sort.direction}>
      <button type="button" class="sort" onClick={sort.toggle}>
        {name}
        <span aria-hidden="true">{arrow}</span>
      </button>
    </th>
  );
}

/** The rows that are to be in the document now. */
function useWindow(box: { readonly current: HTMLElement | null }, count: number, rowPx: number) {
  const [at, setAt] = useState({ topPx: 0, heightPx: 600 });
  const isThere = count > 0;
  useEffect(() => {
    const element = isThere ? box.current : null;
    if (element === null) return;
    const look = () => setAt({ topPx: element.scrollTop, heightPx: element.clientHeight });
    const size = new ResizeObserver(look);
    size.observe(element);
    element.addEventListener('scroll', look, { passive: true });
    look();
    return () => {
      size.disconnect();
      element.removeEventListener('scroll', look);
    };
  }, [box, isThere]);
  const first = Math.floor(at.topPx / rowPx) - MARGIN_ROWS;
  const shown = Math.ceil(at.heightPx / rowPx) + 2 * MARGIN_ROWS;
  const from = Math.max(0, Math.min(first, count - shown));
  return { from, to: Math.min(count, from + shown) };
}

function pageRows(box: HTMLElement | null, rowPx: number): number {
  return Math.max(1, Math.floor((box?.clientHeight ?? 0) / rowPx) - 2);
}

/** The row that a key leads to; null: it is none of those keys. */
function destination(key: string, row: number, count: number, page: number): number | null {
  const moves: Readonly<Record<string, number>> = {
    ArrowDown: row + 1,
    ArrowUp: row - 1,
    PageDown: row + page,
    PageUp: row - page,
    Home: 0,
    End: count - 1,
  };
  const target = moves[key];
  return target === undefined ? null : Math.max(0, Math.min(count - 1, target));
}

function showRow(box: HTMLElement | null, row: number, rowPx: number): void {
  if (box === null) return;
  const heading = box.querySelector('thead')?.offsetHeight ?? 0;
  const top = row * rowPx;
  if (top < box.scrollTop) box.scrollTop = top;
  const below = top + rowPx + heading - box.clientHeight;
  if (below > box.scrollTop) box.scrollTop = below;
}
