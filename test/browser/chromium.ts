import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { pause } from '../../src/rig/run.ts';

/** A headless Chromium, driven by its DevTools protocol over a pipe: no port, no library. */

const PROGRAM = '/usr/bin/chromium';
const ANSWER_MS = 60_000;

/** Why no page can be shown here, as a message for the user; null: it can. */
export function browserObstacle(): string | null {
  return existsSync(PROGRAM) ? null : 'Chromium is not installed (Debian package chromium)';
}

type Json = Readonly<Record<string, unknown>>;

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Json;
  readonly sessionId?: string;
  readonly result?: Json;
  readonly error?: { readonly message: string };
}

const ARGUMENTS = [
  '--headless=new',
  '--remote-debugging-pipe',
  '--no-sandbox', // Chromium refuses to run as root with it
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-extensions',
  '--disable-sync',
  '--no-first-run',
  '--no-default-browser-check',
  '--password-store=basic',
  '--hide-scrollbars',
  '--lang=en-GB',
];

export class Chromium {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly #pages = new Map<string, Page>();
  #last = 0;

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child;
    this.#folder = folder;
    const output = child.stdio[4] as Readable; // a pipe, see below
    let text = '';
    output.setEncoding('utf8');
    output.on('data', (chunk: string) => {
      const messages = (text + chunk).split('\0');
      text = messages.pop() ?? '';
      for (const message of messages) this.#receive(JSON.parse(message) as Message);
    });
    output.on('error', () => {});
    (child.stdio[3] as Writable).on('error', () => {});
  }

  static async start(): Promise<Chromium> {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-browser-'));
    const child = spawn(PROGRAM, [...ARGUMENTS, `--user-data-dir=${folder}`, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      detached: true, // a group of its own, which is ended whole
      // Whatever it makes is in its folder, and removed with it.
      env: { ...process.env, TZ: 'UTC', HOME: folder, TMPDIR: folder },
    });
    const browser = new Chromium(child, folder);
    try {
      await browser.ask('Browser.getVersion');
    } catch (error) {
      await browser.close();
      throw error;
    }
    return browser;
  }

  /** A new page, of this size in CSS pixels, with cookies and storage of its own. */
  async open(size: { readonly width: number; readonly height: number }): Promise<Page> {
    const { browserContextId } = await this.ask('Target.createBrowserContext');
    const url = 'about:blank';
    const { targetId } = await this.ask('Target.createTarget', { url, browserContextId });
    const { sessionId } = await this.ask('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, String(sessionId), String(browserContextId));
    this.#pages.set(String(sessionId), page);
    await page.begin(size);
    return page;
  }

  ask(method: string, params: Json = {}, sessionId?: string): Promise<Json> {
    this.#last += 1;
    const id = this.#last;
    const own = sessionId === undefined ? {} : { sessionId };
    (this.#child.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, ...own })}\0`);
    return new Promise((resolve, reject) => {
      const late = () => {
        this.#waiting.delete(id);
        reject(new Error(`Chromium did not answer ${method} within ${ANSWER_MS / 1000} s`));
      };
      const timer = setTimeout(late, ANSWER_MS);
      this.#waiting.set(id, ({ result, error }) => {
        clearTimeout(timer);
        if (error === undefined) resolve(result ?? {});
        else reject(new Error(`Chromium refused ${method}: ${error.message}`));
      });
    });
  }

  async close(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid !== undefined && exitCode === null && signalCode === null) {
      const ended = new Promise((resolve) => this.#child.once('exit', resolve));
      process.kill(-pid, 'SIGKILL');
      await ended;
    }
    // Its helpers may write a moment longer.
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  #receive(message: Message): void {
    const { id, method, params, sessionId } = message;
    if (id !== undefined) {
      this.#waiting.get(id)?.(message);
      this.#waiting.delete(id);
    } else if (method !== undefined && sessionId !== undefined) {
      this.#pages.get(sessionId)?.hear(method, params ?? {});
    }
  }
}

/** A node of the tree that a screen reader is given. */
export interface AxNode {
  readonly role: string;
  readonly name: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

export class Page {
  readonly #browser: Chromium;
  readonly #session: string;
  readonly #context: string;
  /** What the browser complained of: violations of the policy, exceptions, failed requests. */
  readonly complaints: string[] = [];

  constructor(browser: Chromium, session: string, context: string) {
    this.#browser = browser;
    this.#session = session;
    this.#context = context;
  }

  async begin({ width, height }: { readonly width: number; readonly height: number }) {
    for (const domain of ['Page', 'Runtime', 'Log', 'Audits', 'Network']) {
      await this.ask(`${domain}.enable`);
    }
    await this.resize(width, height);
  }

  ask(method: string, params: Json = {}): Promise<Json> {
    return this.#browser.ask(method, params, this.#session);
  }

  async resize(width: number, height: number): Promise<void> {
    const size = { width, height, deviceScaleFactor: 1, mobile: width < 600 };
    await this.ask('Emulation.setDeviceMetricsOverride', size);
  }

  async prefer(scheme: 'light' | 'dark'): Promise<void> {
    const features = [{ name: 'prefers-color-scheme', value: scheme }];
    await this.ask('Emulation.setEmulatedMedia', { features });
  }

  async go(url: string): Promise<void> {
    await this.ask('Page.navigate', { url });
  }

  /** The value of an expression of the page; a promise is awaited. */
  async value<T>(expression: string): Promise<T> {
    const options = { expression, returnByValue: true, awaitPromise: true };
    const { result, exceptionDetails } = await this.ask('Runtime.evaluate', options);
    if (exceptionDetails !== undefined) {
      throw new Error(`the page threw: ${JSON.stringify(exceptionDetails).slice(0, 600)}`);
    }
    return (result as { readonly value: T }).value; // as the expression says
  }

  /** Waits until the expression is true. */
  async until(what: string, expression: string, withinMs = 30_000): Promise<void> {
    const endMs = performance.now() + withinMs;
    while (!(await this.value<boolean>(`Boolean(${expression})`).catch(() => false))) {
      if (performance.now() > endMs) {
        const text = await this.value<string>('document.body?.innerText ?? ""').catch(() => '');
        throw new Error(`the page did not show in ${withinMs / 1000} s: ${what}\n${text}`);
      }
      await pause(20);
    }
  }

  async key(name: string, modifiers = 0): Promise<void> {
    const known = KEYS[name] ?? { key: name, text: name };
    const more = { ...known, modifiers };
    await this.ask('Input.dispatchKeyEvent', { type: 'keyDown', ...more });
    await this.ask('Input.dispatchKeyEvent', { type: 'keyUp', ...more });
  }

  async type(text: string): Promise<void> {
    await this.ask('Input.insertText', { text });
  }

  async screenshot(): Promise<Buffer> {
    const { data } = await this.ask('Page.captureScreenshot', { format: 'png' });
    return Buffer.from(String(data), 'base64');
  }

  /** All nodes that are not ignored, in their order. */
  async axTree(): Promise<readonly AxNode[]> {
    const { nodes } = (await this.ask('Accessibility.getFullAXTree')) as {
      readonly nodes: readonly {
        readonly ignored: boolean;
        readonly role?: { readonly value: string };
        readonly name?: { readonly value: string };
        readonly properties?: readonly { name: string; value: { value: unknown } }[];
      }[];
    };
    return nodes
      .filter(({ ignored }) => !ignored)
      .map(({ role, name, properties = [] }) => ({
        role: role?.value ?? '',
        name: name?.value ?? '',
        properties: Object.fromEntries(properties.map((one) => [one.name, one.value.value])),
      }));
  }

  async close(): Promise<void> {
    const browserContextId = this.#context;
    await this.#browser.ask('Target.disposeBrowserContext', { browserContextId });
  }

  hear(method: string, params: Json): void {
    if (method === 'Audits.issueAdded' || method === 'Runtime.exceptionThrown') {
      this.complaints.push(`${method}: ${JSON.stringify(params).slice(0, 800)}`);
    }
    if (method === 'Log.entryAdded') {
      const { level, text } = params['entry'] as { readonly level: string; readonly text: string };
      if (level === 'error' || level === 'warning') this.complaints.push(`${level}: ${text}`);
    }
    if (method === 'Runtime.consoleAPICalled' && params['type'] !== 'debug') {
      this.complaints.push(`console: ${JSON.stringify(params['args']).slice(0, 400)}`);
    }
  }
}

const KEYS: Readonly<Record<string, Json>> = {
  Tab: { key: 'Tab', code: 'Tab', windowsVirtualKeyCode: 9 },
  Enter: { key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13, text: '\r' },
  Escape: { key: 'Escape', code: 'Escape', windowsVirtualKeyCode: 27 },
  ArrowDown: { key: 'ArrowDown', code: 'ArrowDown', windowsVirtualKeyCode: 40 },
  ArrowUp: { key: 'ArrowUp', code: 'ArrowUp', windowsVirtualKeyCode: 38 },
  PageDown: { key: 'PageDown', code: 'PageDown', windowsVirtualKeyCode: 34 },
  Home: { key: 'Home', code: 'Home', windowsVirtualKeyCode: 36 },
  End: { key: 'End', code: 'End', windowsVirtualKeyCode: 35 },
  ' ': { key: ' ', code: 'Space', windowsVirtualKeyCode: 32, text: ' ' },
};
