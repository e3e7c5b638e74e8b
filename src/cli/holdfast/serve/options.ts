import { isIP } from 'node:net';
import { fail, ok, type Result } from '../../../base/result.ts';
import type { CommandPage } from '../../frame/page.ts';
import { JSON_OPTION } from '../../frame/page.ts';
import { readWords } from '../../frame/words.ts';

export const DEFAULT_PORT = 9797;
const DEFAULT_INTERVAL_S = 5;
const MAX_INTERVAL_S = 3600;
const MAX_LISTENERS = 8;

export const SERVE_PAGE = {
  name: 'holdfast serve',
  about: 'a web page of this host and its lockspaces, and metrics for Prometheus',
  forms: [''],
  options: [
    {
      name: 'listen',
      value: 'ADDR:PORT',
      isRepeated: true,
      about: `where it is served; port 0: any that is free [127.0.0.1:${DEFAULT_PORT} and [::1]:${DEFAULT_PORT}]`,
    },
    {
      name: 'token-file',
      value: 'FILE',
      operand: 'file',
      about: 'the token that whoever looks must have; needed where --listen is not loopback',
    },
    {
      name: 'name',
      value: 'NAME',
      isRepeated: true,
      about: 'another name of this server, as behind a proxy',
    },
    {
      name: 'interval',
      value: 'SECONDS',
      about: `between two looks at this host [${DEFAULT_INTERVAL_S}]`,
    },
    { ...JSON_OPTION, about: 'for programs: print the addresses as JSON' },
  ],
  text: [
    'Shows in a browser what holdfast status shows in a terminal, as it changes: hosts and ' +
      'lockspaces, who holds what, the margin before users are stopped and how long renewals take, ' +
      'over time, and what happened. /metrics has the same as numbers.',
    'It only reads: it answers no request that changes anything, and takes no lock. On loopback ' +
      'whoever is on this machine may look; elsewhere only with the token, a line of at least 16 ' +
      'characters, which a browser is asked for once and a program sends as Authorization: Bearer. ' +
      'The connection is not encrypted: to look from afar, put a proxy with TLS before it.',
  ],
  examples: [
    { line: 'holdfast serve', about: 'http://localhost:9797/ on this machine' },
    {
      line: 'holdfast serve --listen 10.0.0.5:9797 --token-file /etc/holdfast/serve.token',
      about: 'for a Prometheus on another machine',
    },
    {
      line: 'holdfast serve --listen 127.0.0.1:0 --json',
      about: 'on a free port, which it prints',
    },
  ],
  exits: {
    0: 'it was asked to end',
    1: 'never: it has no answer that is no',
    2: 'wrong words, or it cannot be served there',
  },
  schema: 'holdfast.serve/1',
  seeAlso: ['holdfast-status(8)'],
} as const satisfies CommandPage;

export interface Address {
  readonly host: string;
  readonly port: number;
  /** It need not be there: a machine may have no IPv6. */
  readonly isOptional: boolean;
}

export interface ServeOptions {
  readonly addresses: readonly Address[];
  readonly tokenFile: string | null;
  readonly names: readonly string[];
  readonly everyS: number;
  readonly isJson: boolean;
}

const LOOPBACK: readonly Address[] = [
  { host: '127.0.0.1', port: DEFAULT_PORT, isOptional: false },
  { host: '::1', port: DEFAULT_PORT, isOptional: true },
];

/** @returns a sentence: what is wrong with the words */
export function parseServe(args: readonly string[]): Result<ServeOptions, string> {
  const words = readWords(SERVE_PAGE, args);
  if (!words.ok) return words;
  const { value, values, has } = words.value;
  const everyS = Number(value('interval') ?? DEFAULT_INTERVAL_S);
  if (!(everyS >= 1 && everyS <= MAX_INTERVAL_S)) {
    return fail(`--interval is 1 to ${MAX_INTERVAL_S} seconds`);
  }
  if (values('listen').length > MAX_LISTENERS) return fail(`--listen is given too often`);
  const addresses: Address[] = [];
  for (const text of values('listen')) {
    const address = addressOf(text);
    if (!address.ok) return address;
    addresses.push(address.value);
  }
  const tokenFile = value('token-file');
  const open = addresses.find(({ host }) => !isLoopback(host));
  if (open !== undefined && tokenFile === null) {
    return fail(`${open.host} can be reached from elsewhere: --token-file is wanted`);
  }
  const names = values('name').map((name) => name.toLowerCase());
  const strange = names.find((name) => !/^[a-z0-9_.-]{1,253}$/.test(name));
  if (strange !== undefined) return fail('--name is the name of a host, without its port');
  return ok({
    addresses: addresses.length === 0 ? LOOPBACK : addresses,
    tokenFile,
    names,
    everyS,
    isJson: has('json'),
  });
}

function addressOf(text: string): Result<Address, string> {
  const [, bracketed, bare, digits = ''] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const named = bracketed ?? bare ?? '';
  const host = named === 'localhost' ? '127.0.0.1' : named;
  const port = Number(digits);
  const isAddress = bracketed === undefined ? isIP(host) === 4 : isIP(host) === 6;
  if (digits === '' || !isAddress || port > 65_535) {
    return fail('--listen is an address and a port: 127.0.0.1:9797, [::1]:9797, 0.0.0.0:9797');
  }
  return ok({ host, port, isOptional: false });
}

/** Whether only this machine reaches it. */
export function isLoopback(host: string): boolean {
  return host === '::1' || /^127\./.test(host);
}
