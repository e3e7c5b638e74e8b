import type { ServerResponse } from 'node:http';
import type { Feed } from './feed.ts';

/** Open pages at most; each has a connection of its own. */
export const MAX_PAGES = 32;
/** A page that has so much unread is behind; it is disconnected, and connects again by itself. */
export const MAX_UNREAD_BYTES = 16 * 1024 * 1024;
/** A line now and then, so that a peer that is gone is noticed. */
const KEEP_ALIVE_MS = 15_000;
const AGAIN_MS = 2000;

/** The pages that are open, as server-sent events. */
export class Live {
  readonly #open = new Set<() => void>();

  get count(): number {
    return this.#open.size;
  }

  get isFull(): boolean {
    return this.#open.size >= MAX_PAGES;
  }

  /** Sends the feed from now on; the head of the response is the caller's. */
  open(response: ServerResponse, feed: Feed): void {
    const send = (text: string) => {
      if (response.destroyed) return;
      response.write(text);
      if (response.writableLength > MAX_UNREAD_BYTES) response.destroy();
    };
    const stopListening = feed.listen((message) => send(`data: ${message}\n\n`));
    const keepAlive = setInterval(() => send(': still here\n\n'), KEEP_ALIVE_MS);
    const end = () => {
      this.#open.delete(end);
      clearInterval(keepAlive);
      stopListening();
      response.destroy();
    };
    this.#open.add(end);
    response.once('close', end);
    response.on('error', end);
    send(`retry: ${AGAIN_MS}\n\n`);
    const whole = feed.whole();
    if (whole !== null) send(`data: ${whole}\n\n`);
  }

  close(): void {
    for (const end of [...this.#open]) end();
  }
}
