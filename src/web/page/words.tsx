import type { HostState, LeaseRow, Part } from '../model.ts';

/** Small pieces of text that several parts of the page share. */

/** A foreign name: set apart, so that its writing direction does not reach the text around it. */
export function Name({ text }: { readonly text: string }) {
  return (
    <bdi class="name" title={text}>
      {text}
    </bdi>
  );
}

export function Sentence({ parts }: { readonly parts: readonly Part[] }) {
  return (
    <>
      {parts.map((part) => (typeof part === 'string' ? part : <bdi class="name">{part.name}</bdi>))}
    </>
  );
}

/** Beside the colour: a shape for each state, and its word. */
const SHAPES: Readonly<Record<HostState | 'left', string>> = {
  live: '●',
  fail: '▲',
  dead: '✕',
  free: '○',
  left: '○',
  unknown: '?',
};
export const STATE_WORDS: Readonly<Record<HostState | 'left', string>> = {
  live: 'live',
  fail: 'failing',
  dead: 'dead',
  free: 'left',
  left: 'left',
  unknown: 'not known',
};

interface StateProps {
  readonly state: HostState | 'left';
  /** Behind the word. */
  readonly text?: string;
  /** The word is only read aloud: beside the shape there is no room for it. */
  readonly isShort?: boolean;
}

export function State({ state, text = '', isShort = false }: StateProps) {
  const word = STATE_WORDS[state];
  return (
    <span class={`state ${state}`}>
      <Shape state={state} />
      {isShort ? <span class="heard">{word}</span> : ` ${word}`}
      {text === '' ? '' : ` ${text}`}
    </span>
  );
}

export function Shape({ state }: { readonly state: HostState | 'left' }) {
  return (
    <span class="shape" aria-hidden="true">
      {SHAPES[state]}
    </span>
  );
}

export const MODE_WORDS = { ex: 'exclusive', sh: 'shared' } as const;

export function hostText(hostId: number, name: string | null): string {
  return name === null || name === '' ? `host ${hostId}` : name;
}

/** How a lease is held, in a word. */
export function heldWord({ holders }: LeaseRow): string {
  if (holders === null) return 'not read';
  const [first] = holders;
  return first === undefined ? 'free' : MODE_WORDS[first.mode];
}

/** `8 s`, `3 min`, `2 h`, `4 d` */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 172_800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86_400)} d`;
}

export function millis(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

const TIME = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const DAY_AND_TIME = new Intl.DateTimeFormat(undefined, {
  dateStyle: 'medium',
  timeStyle: 'medium',
});

export function timeText(wallMs: number): string {
  return TIME.format(wallMs);
}

export function dayAndTimeText(wallMs: number): string {
  return DAY_AND_TIME.format(wallMs);
}
