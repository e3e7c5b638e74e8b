import type { Clock } from '../ports/clock.ts';

/** Service in one turn of the event loop, before timers and other messages get their turn again. */
const TURN_MS = 5;

/**
 * Fair service: one request of each client in a turn of the event loop, in the order in which they
 * began to wait. However much one client sends ahead, another one waits for one request of each.
 */
export class Turns<Client> {
  readonly #clock: Clock;
  readonly #serve: (client: Client) => boolean;
  /** In the order of service. */
  readonly #waiting = new Set<Client>();
  #isPlanned = false;
  #spentMs = 0;

  /** @param serve serves one request; true: the client may have another one */
  constructor(clock: Clock, serve: (client: Client) => boolean) {
    this.#clock = clock;
    this.#serve = serve;
  }

  /** The client may have a request: it is served at once where no other waits. */
  want(client: Client): void {
    if (this.#isPlanned) this.#waiting.add(client);
    else this.#turnOf(client);
    this.#plan();
  }

  /** As `want`, in a later turn. */
  wantLater(client: Client): void {
    this.#waiting.add(client);
    this.#plan();
  }

  waits(client: Client): boolean {
    return this.#waiting.has(client);
  }

  forget(client: Client): void {
    this.#waiting.delete(client);
  }

  #turnOf(client: Client): void {
    const startedMs = this.#clock.nowMs();
    this.#waiting.delete(client);
    if (this.#serve(client)) this.#waiting.add(client);
    this.#spentMs += this.#clock.nowMs() - startedMs;
  }

  /** Also where no client waits: requests that came one by one may have taken as long together. */
  #plan(): void {
    if (this.#isPlanned || (this.#waiting.size === 0 && this.#spentMs < TURN_MS)) return;
    this.#isPlanned = true;
    this.#clock.after(0, () => this.#turn());
  }

  #turn(): void {
    this.#spentMs = 0;
    for (const client of [...this.#waiting]) {
      if (this.#waiting.has(client)) this.#turnOf(client);
      if (this.#spentMs >= TURN_MS) break;
    }
    this.#isPlanned = false;
    this.#plan();
  }
}
