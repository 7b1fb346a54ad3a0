// The live connection: opened once, kept for ever, everything rejoined after
// each interruption.

import { HubConnectionBuilder, LogLevel, type HubConnection } from '@microsoft/signalr';
import { batch } from '@preact/signals';
import type { Alert, Area, Delta, Happened, Metric, Order, Reading, TopicValue } from './wire';
import * as store from './store';
import * as sync from './sync';
import { later, onFrame, readingSoon } from './frame';
import { address } from './rest';
import { signedIn } from './session';

const echoEvery = 5000; // ms
const nodesEvery = 2500; // ms; of a hub of one node, seldomer
const slow = 1000; // an answer later than this, on data older than 5 s, is worth a banner
const waits = [0, 1000, 2000, 5000]; // ms between tries; then 10 s

let hub: HubConnection;
let asked = 0; // when the Echo was sent that has no answer yet; 0: none

/** Opens the connection and starts the clocks. Called once. */
export function connect(): void {
  hub = new HubConnectionBuilder()
    .withUrl(address('hubs/devices'))
    .withAutomaticReconnect({ nextRetryDelayInMilliseconds: (c) => (/\b401\b/.test(c.retryReason.message) ? null : pause(c.previousRetryCount)) })
    .configureLogging(LogLevel.None)
    .build();
  onFrame(sync.takeReadings, () => void joined());
  listen();
  hub.onreconnecting(() => (store.link.value = 'reconnecting'));
  hub.onreconnected(() => void joined());
  hub.onclose(() => void open(1));
  void open(0);
  setInterval(second, 1000);
  setInterval(() => void echo(), echoEvery);
  setInterval(() => void sync.loadReadiness(), 10_000);
  setInterval(nodes, nodesEvery);
  setInterval(sync.tidy, 60_000);
  document.addEventListener('visibilitychange', () => void echo());
}

function pause(tries: number): number {
  const ms = waits[tries] ?? 10_000;
  return ms * (0.8 + Math.random() * 0.4); // not all browsers at once
}

async function open(tries: number): Promise<void> {
  store.link.value = store.lastHeard.peek() ? 'reconnecting' : 'connecting';
  await new Promise((done) => setTimeout(done, pause(tries)));
  try {
    await signedIn();
    await hub.start();
  } catch {
    return open(tries + 1);
  }
  await joined();
}

// Everything anew: groups and snapshots belong to one connection.
async function joined(): Promise<void> {
  heard();
  sync.forgetLoaded();
  try {
    const all = await hub.invoke<Area[]>('JoinArea', '*');
    batch(() => {
      store.forgetOpen();
      sync.takeAreas(all);
      store.link.value = 'live';
    });
    void echo();
    await Promise.allSettled([
      hub.invoke('JoinGroup', 'metrics'),
      hub.invoke('JoinGroup', 'topics'),
      hub.invoke('JoinGroup', 'alerts'), // refused to whom they do not concern
      sync.loadReadiness(),
      sync.loadNodes(),
      sync.loadDevices(),
      sync.loadOrders(10 * 60_000),
      sync.loadReadings(),
    ]);
  } catch {
    // The connection broke meanwhile, and the next one begins here again; a hub
    // that refuses is asked again as if it had.
    if (hub.state === 'Connected') await hub.stop();
  }
}

// The nodes change without a word to the page; one that nobody looks at does not ask.
let turn = 0;
function nodes(): void {
  if (document.hidden || hub.state !== 'Connected') return;
  const several = store.nodes.peek().length > 1;
  if (!several && turn++ % 8) return;
  void sync.loadNodes();
  if (several) void sync.loadReadiness();
}

function listen(): void {
  const on = <T>(event: string, take: (x: T) => void): void => hub.on(event, (x: T) => {
    heard();
    later(() => take(x));
  });
  on<Delta>('AreaChanged', sync.areaChanged);
  on<Delta>('DeviceChanged', sync.deviceChanged);
  on<Order>('OrderChanged', sync.orderChanged);
  on<Metric>('ReceiveMetric', sync.metric);
  on<Alert>('ReceiveSystemAlert', sync.alert);
  on<Happened>('DeviceEvent', sync.happened);
  on<TopicValue>('Topic', (t) => sync.topics([t]));
  hub.on('Reading', (r: Reading) => {
    heard();
    readingSoon(r);
  });
  hub.on('ConnectionAcknowledged', (_id: string, serverTime: string | number) => setClock(serverTime));
}

// The hub's clock counts for "34 s left"; a difference that one cannot see is
// left alone.
function setClock(serverTime: string | number): void {
  const off = new Date(serverTime).getTime() - Date.now();
  if (!Number.isNaN(off)) store.clockOffset.value = Math.abs(off) < 250 ? 0 : off;
}

function heard(): void {
  store.lastHeard.value = Date.now();
}

async function echo(): Promise<void> {
  if (asked || hub.state !== 'Connected') return;
  asked = performance.now();
  try {
    await hub.invoke('Echo', 'tacet');
    store.roundTrip.value = Math.max(1, Math.round(performance.now() - asked));
    heard();
  } catch {
    store.roundTrip.value = null;
  } finally {
    asked = 0;
  }
}

function second(): void {
  batch(() => {
    store.tick.value = store.now();
    const age = Date.now() - store.lastHeard.peek();
    const late = asked > 0 && performance.now() - asked > slow;
    store.stale.value = age > 5000 && (late || store.link.peek() !== 'live');
  });
}
