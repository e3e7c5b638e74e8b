import assert from 'node:assert/strict';
import test from 'node:test';
import { type HarnessPeer, WdmdHarness } from '../programs/testing/wdmd-harness.ts';

/**
 * Others may take the leases of a host 60 s after its expiry. wdmd may be late: stopped, swapped
 * out, waiting for a script or in a driver. Whatever the lag and wherever it begins, the device
 * fires at most its fire timeout after the expiry.
 */
const START_S = 1000;
const FIRE_S = 60;
const LAGS_S = Array.from({ length: 61 }, (_, s) => s);
/** The client begins then; tests come every 10 s from there on. */
const BEGINS_S = 0.7;
/** Every phase of the test interval. */
const EXPIRIES_S = [25, 26, 27, 28, 29, 30, 31, 32, 33, 34] as const;
const ENDS_EVERY_S = 7;
const LONGEST_S = 190;

interface Scene {
  readonly harness: WdmdHarness;
  readonly client: HarnessPeer;
  /** Seconds after the start. */
  readonly expireS: number;
}

function begun(expireS: number, harness: WdmdHarness = new WdmdHarness()): Scene {
  harness.at(BEGINS_S);
  const client = harness.connect();
  client.begin('sanlock_LS:1', START_S, START_S + expireS);
  return { harness, client, expireS };
}

/** Every lag that ends where it matters: from before the last ping to the end of the device. */
function forEachLag(
  make: (expireS: number) => Scene,
  play: (scene: Scene, lag: { readonly fromS: number; readonly forS: number }) => void,
): void {
  for (const expireS of EXPIRIES_S) {
    for (const forS of LAGS_S) {
      const shiftS = (forS * 0.7) % ENDS_EVERY_S; // so that all ends are tried
      for (let endS = expireS - 12 + shiftS; endS <= expireS + 58; endS += ENDS_EVERY_S) {
        const fromS = endS - forS;
        if (fromS <= BEGINS_S) continue;
        play(make(expireS), { fromS, forS });
      }
    }
  }
}

function lagging({ harness }: Scene, lag: { readonly fromS: number; readonly forS: number }): void {
  harness.at(lag.fromS);
  harness.lag(lag.forS * 1000);
}

function firesInTime({ harness, expireS }: Scene, fireS = FIRE_S): void {
  // A reset machine does nothing more.
  for (let s = expireS; s <= LONGEST_S && harness.resetMs === null; s++) harness.at(s);
  const { resetMs } = harness;
  assert.ok(resetMs !== null, 'the device fires');
  assert.ok(
    resetMs <= (expireS + fireS) * 1000,
    `expired at ${expireS}, fired at ${resetMs / 1000}: ${harness.performed.join(', ')}`,
  );
}

test('a client that falls silent, every lag of wdmd, every phase of its tests', () => {
  forEachLag(begun, (scene, lag) => {
    lagging(scene, lag);
    firesInTime(scene);
  });
});

test('a client that dies', () => {
  forEachLag(begun, (scene, lag) => {
    scene.harness.at(Math.min(lag.fromS, 7));
    scene.client.close();
    lagging(scene, lag);
    firesInTime(scene);
  });
});

test('one of several clients, while the others renew in time', () => {
  const make = (expireS: number): Scene => {
    const scene = begun(expireS);
    const { harness } = scene;
    for (const everyS of [5, 7]) {
      const other = harness.connect();
      other.begin('sanlock_other:1', START_S, START_S + 80);
      const renew = () => {
        other.live(harness.nowS(), harness.nowS() + 80);
        harness.clock.after(everyS * 1000, renew);
      };
      harness.clock.after(everyS * 1000, renew);
    }
    return scene;
  };
  forEachLag(make, (scene, lag) => {
    lagging(scene, lag);
    firesInTime(scene);
  });
});

test('a device that was reopened after an earlier silence', () => {
  forEachLag(
    (expireS) => {
      const scene = begun(12);
      scene.harness.at(11);
      scene.client.live(START_S + 11, START_S + expireS);
      return { ...scene, expireS };
    },
    (scene, lag) => {
      if (lag.fromS <= 12) return;
      lagging(scene, lag);
      firesInTime(scene);
    },
  );
});

for (const fireS of [30, 10]) {
  test(`a client that asked for ${fireS} s`, () => {
    const make = (expireS: number): Scene => {
      const harness = new WdmdHarness();
      harness.connect().send({ cmd: 7, fireTimeout: fireS });
      return begun(expireS, harness);
    };
    forEachLag(make, (scene, lag) => {
      lagging(scene, lag);
      firesInTime(scene, fireS);
    });
  });
}

test('while scripts are slow, fail, or never end', () => {
  for (const script of [
    { status: 0, runsS: 8 },
    { status: 1, runsS: 3 },
    { status: 0, runsS: null },
  ]) {
    const make = (expireS: number): Scene => {
      const harness = new WdmdHarness({ allowScripts: 1 }, [['x', { status: 0, runsS: 2 }]]);
      const scene = begun(expireS, harness);
      harness.clock.after(13_000, () => harness.scripts.set('x', script));
      return scene;
    };
    forEachLag(make, (scene, lag) => {
      lagging(scene, lag);
      firesInTime(scene);
    });
  }
});

test('a ping, or a close, that hangs in the driver', () => {
  for (const what of ['ping', 'close'] as const) {
    for (const expireS of EXPIRIES_S) {
      for (const forS of LAGS_S) {
        const scene = begun(expireS);
        scene.harness.at(expireS - 20);
        scene.harness.hangMs[what] = forS * 1000;
        firesInTime(scene);
      }
    }
  }
});

test('a client whose first expiry lay in the socket while wdmd stood still', () => {
  for (const expireS of EXPIRIES_S) {
    for (const forS of LAGS_S) {
      const harness = new WdmdHarness();
      harness.at(BEGINS_S);
      const client = harness.connect();
      harness.at(5);
      harness.lag(forS * 1000);
      client.live(START_S, START_S + expireS);
      firesInTime({ harness, client, expireS });
    }
  }
});

test('a renewal that lay in the socket is read before its client is tested', () => {
  for (const expireS of EXPIRIES_S) {
    for (let forS = 1; forS <= 35; forS++) {
      const { harness, client } = begun(expireS);
      harness.at(expireS - 5);
      harness.lag(forS * 1000);
      client.live(harness.nowS(), START_S + expireS + 80);
      const closesBefore = harness.performed.filter((what) => what.endsWith('close')).length;
      harness.at(expireS + 60);
      const closes = harness.performed.filter((what) => what.endsWith('close')).length;
      assert.equal(closes, closesBefore, harness.performed.join(', '));
      assert.equal(harness.resetMs, null);
      firesInTime({ harness, client, expireS: expireS + 80 });
    }
  }
});

test('past an expiry the device stays open and untouched; a renewal saves it', () => {
  const { harness, client } = begun(25);
  harness.at(12);
  harness.lag(20_000);
  harness.at(40);
  assert.equal(harness.performed.at(-1), '10 ping');
  assert.ok(harness.logged.includes('device.leftAlone'));
  assert.equal(harness.logged.filter((event) => event === 'device.leftAlone').length, 1);
  harness.program.terminate();
  assert.equal(harness.hasEnded, false, 'leaving would close it');
  client.live(START_S + 40, START_S + 120);
  harness.at(42);
  assert.deepEqual(harness.performed.slice(-1), ['41 ping']);
});

test('leaving while an expiry has passed would feed the device: refused without a refcount too', () => {
  const harness = new WdmdHarness();
  harness.at(1);
  harness.connect().live(START_S + 1, START_S + 14);
  harness.at(3);
  harness.lag(20_000);
  harness.at(30);
  harness.program.terminate();
  assert.equal(harness.hasEnded, false);
  assert.ok(harness.logged.includes('daemon.resetDue'));
});

test('a device that takes no short timeout is not asked for one for ever: it fires', () => {
  for (const leastS of [10, 30, 61]) {
    const scene = begun(25);
    const { harness } = scene;
    harness.at(10.5);
    harness.leastS = leastS;
    harness.hangMs.ping = 15_000;
    const asked = () => harness.performed.filter((what) => what.includes('setTimeout')).length;
    harness.at(60);
    const once = asked();
    harness.at(LONGEST_S);
    assert.equal(asked(), once);
    assert.ok(harness.resetMs !== null, harness.performed.join(', '));
  }
});

test('shortened, then alive again: the full fire timeout is back at once', () => {
  const { harness, client } = begun(31);
  harness.at(11);
  harness.hangMs.ping = 15_000; // that of 20
  harness.at(36);
  assert.deepEqual(harness.performed.slice(-2), ['20 ping', '35 setTimeout 56']);
  client.live(START_S + 36, START_S + 116);
  assert.deepEqual(harness.performed.slice(-2), ['36 setTimeout 60', '36 ping']);
  assert.equal(harness.timeoutS, 60);
});
