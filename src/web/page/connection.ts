import type { Look } from '../model.ts';

/** Whether the server can be heard. */
export type Link = 'connecting' | 'open' | 'lost' | 'tokenWanted';

const AGAIN_MS = 3000;

/** Listens to the server until closed; a connection that is lost is made again. */
export class Connection {
  readonly #view: number;
  readonly #onLook: (look: Look) => void;
  readonly #onLink: (link: Link) => void;
  #source: EventSource | null = null;
  #again: ReturnType<typeof setTimeout> | undefined;

  constructor(view: number, onLook: (look: Look) => void, onLink: (link: Link) => void) {
    this.#view = view;
    this.#onLook = onLook;
    this.#onLink = onLink;
    this.#open();
  }

  close(): void {
    clearTimeout(this.#again);
    this.#source?.close();
  }

  #open(): void {
    const source = new EventSource(this.#url);
    this.#source = source;
    source.onopen = () => this.#onLink('open');
    source.onmessage = ({ data }) => {
      this.#onLook(JSON.parse(data) as Look); // of the server that this page is from
    };
    source.onerror = () => {
      this.#onLink('lost');
      // Else the browser itself connects again.
      if (source.readyState === EventSource.CLOSED) void this.#ask();
    };
  }

  /** Why it was refused: a browser does not say it of server-sent events. */
  async #ask(): Promise<void> {
    try {
      const { status } = await fetch(this.#url, { method: 'HEAD' });
      if (status === 401) {
        this.#onLink('tokenWanted');
        return;
      }
    } catch {
      // The server is gone: it may come back.
    }
    this.#again = setTimeout(() => this.#open(), AGAIN_MS);
  }

  get #url(): string {
    return `/live?view=${this.#view}`;
  }
}

/** Begins a session with a token. @returns null, or why not */
export async function enter(token: string): Promise<string | null> {
  try {
    const headers = { Authorization: `Bearer ${token}` };
    const { status } = await fetch('/session', { headers });
    if (status === 204) return null;
    return status === 429 ? 'Too many wrong tokens: wait a moment.' : 'That is not the token.';
  } catch {
    return 'The server does not answer, or the token has characters that no token has.';
  }
}
