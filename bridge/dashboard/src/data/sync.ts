// Keeps the store equal to the hub: a snapshot first, then deltas; after a hole
// the one object again, after a reconnection everything again.

import { batch } from '@preact/signals';
import type { Alert, Area, Delta, Device, Happened, HubNode, Metric, Order, Readiness, Reading, Series, TopicValue } from './wire';
import * as store from './store';
import { address, get, list, Problem } from './rest';
import { applyDelta } from '../model/delta';
import { newer } from '../model/orders';
import { byKey, extend, keyOf } from '../model/readings';
import { push } from '../model/topics';
import * as log from '../model/log';

const minute = 60_000;
const hour = 60 * minute;
let devicesKnown = false;
let waitingDeltas: Delta[] = []; // of devices, until their snapshot is there
let ordersSince = Infinity; // the page has all orders from here on

/** The whole of all areas, as JoinArea("*") answers it. */
export function takeAreas(all: Area[]): void {
  const shown = all.filter((a) => a.id !== store.unassigned);
  const gone = (store.areaIds.peek() ?? []).filter((id) => !shown.some((a) => a.id === id));
  for (const id of gone) store.areas.of(id).value = undefined;
  for (const a of shown) {
    noteClaim(store.areas.of(a.id).peek(), a);
    store.areas.of(a.id).value = a;
  }
  store.areaIds.value = shown.map((a) => a.id);
  for (const a of shown) fetchMissing(a);
}

/** A delta of an area. */
export function areaChanged(delta: Delta): void {
  const id = delta.area;
  if (!id || id === store.unassigned) return;
  const known = store.areas.of(id).peek();
  const got = applyDelta(known, delta);
  if (got.kind === 'hole') void refetchArea(id);
  if (got.kind === 'removed') removeArea(id);
  if (got.kind !== 'applied') return;
  keepArea(got.value);
}

function keepArea(a: Area): void {
  const was = store.areas.of(a.id).peek();
  store.areas.of(a.id).value = a;
  noteClaim(was, a);
  const ids = store.areaIds.peek() ?? [];
  if (!ids.includes(a.id)) store.areaIds.value = [...ids, a.id];
  const line = log.ofArea(was, a, store.names, store.now());
  if (line) store.log.value = log.merge(store.log.peek(), [line]);
  fetchMissing(a);
}

// A device that speaks on its own account has no order; the page keeps what it
// saw of it for the timeline.
function noteClaim(was: Area | undefined, is: Area): void {
  const own = (a: Area | undefined): string | null => (a?.busy?.state === 'held' && !a.busy.work ? (a.busy.holder ?? null) : null);
  if (own(was) === own(is)) return;
  const list = store.claims.of(is.id);
  const kept = list.peek().map((c) => (c.to === null ? { ...c, to: store.now() } : c));
  const holder = own(is);
  list.value = (holder ? [...kept, { device: holder, from: store.now(), to: null }] : kept).slice(-500);
}

function removeArea(id: string): void {
  store.areas.of(id).value = undefined;
  store.areaIds.value = (store.areaIds.peek() ?? []).filter((x) => x !== id);
}

async function refetchArea(id: string): Promise<void> {
  await again(`area ${id}`, async () => {
    try {
      const a = await get<Area>(`api/v1/areas/${encodeURIComponent(id)}`);
      if ((store.areas.of(id).peek()?.seq ?? -1) <= a.seq) keepArea(a);
    } catch (e) {
      if (e instanceof Problem && e.code === 'not_found') removeArea(id);
      else throw e;
    }
  });
}

// Orders that an area names and the page has not seen yet.
function fetchMissing(a: Area): void {
  const ids = [a.busy?.work, ...a.queue.map((q) => q.order)];
  for (const id of ids) {
    if (!id || store.peekOrder(id)) continue;
    void again(`order ${id}`, async () => orderChanged(await get<Order>(`api/v1/orders/${encodeURIComponent(id)}`)));
  }
}

// One request at a time per thing; a fault leaves the rest as it is, the next
// delta asks again.
const running = new Set<string>();
async function again(what: string, job: () => Promise<void>): Promise<void> {
  if (running.has(what)) return;
  running.add(what);
  try {
    await job();
  } catch {
    // The next change, or the next snapshot, brings it.
  } finally {
    running.delete(what);
  }
}

/** A delta of a device. */
export function deviceChanged(delta: Delta): void {
  const id = delta.device;
  if (!id) return;
  if (!devicesKnown) {
    waitingDeltas.push(delta);
    return;
  }
  const known = store.devices.of(id).peek();
  const got = applyDelta(known, delta);
  if (got.kind === 'hole') void again(`device ${id}`, async () => keepDevice(await get<Device>(`api/v1/devices/${encodeURIComponent(id)}`)));
  if (got.kind === 'removed') {
    store.devices.of(id).value = undefined;
    store.deviceIds.value = store.deviceIds.peek().filter((x) => x !== id);
  }
  if (got.kind === 'applied') keepDevice(got.value, delta.set && 'readings' in delta.set);
}

function keepDevice(d: Device, withReadings = true): void {
  const was = store.devices.of(d.id).peek();
  if (was && was.seq > d.seq) return;
  const line = log.ofDevice(was, d, store.names, store.now());
  if (line) store.log.value = log.merge(store.log.peek(), [line]);
  store.devices.of(d.id).value = d;
  if (!store.deviceIds.peek().includes(d.id)) store.deviceIds.value = [...store.deviceIds.peek(), d.id];
  if (was && was.area !== d.area) store.moveSensor(d.id, d.area || store.unassigned);
  if (withReadings && d.readings?.length) takeReadings(d.readings);
}

/** All devices, asked for. */
export async function loadDevices(): Promise<void> {
  devicesKnown = false;
  const all = await list<Device>('api/v1/devices', {}, 10_000);
  for (const id of store.deviceIds.peek()) if (!all.some((d) => d.id === id)) store.devices.of(id).value = undefined;
  store.deviceIds.value = all.map((d) => d.id);
  for (const d of all) {
    store.devices.of(d.id).value = d;
  }
  devicesKnown = true;
  const deltas = waitingDeltas;
  waitingDeltas = [];
  deltas.forEach(deviceChanged);
  takeReadings(all.flatMap((d) => d.readings ?? []));
  tell(store.allOrders());
}

// Sentences need the names of devices: before those are there nothing is told.
function tell(orders: Iterable<Order>): void {
  const since = store.now() - hour;
  const fresh = [...orders].filter((o) => Date.parse(o.created_at) > since);
  store.log.value = log.merge(store.log.peek(), fresh.flatMap((o) => log.ofOrder(o, store.names)));
}

/** A new state of an order. */
export function orderChanged(o: Order): void {
  const kept = newer(store.peekOrder(o.id), o);
  if (kept !== o) return;
  store.keepOrder(o);
  if (devicesKnown) tell([o]);
}

/** Orders from an instant on, asked for where they are not known yet. */
export async function loadOrders(back: number): Promise<void> {
  const from = store.now() - back;
  if (from >= ordersSince) return;
  await again(`orders ${back}`, async () => {
    const query = { from: new Date(from).toISOString(), to: new Date(store.now() + 24 * hour).toISOString() };
    const all = await list<Order>('api/v1/orders', query, 20_000);
    batch(() => all.forEach(orderChanged));
    ordersSince = Math.min(ordersSince, from);
  });
}

/** After a reconnection nothing that was loaded counts as complete. */
export function forgetLoaded(): void {
  ordersSince = Infinity;
  devicesKnown = false;
  waitingDeltas = [];
}

/** Newest value of every sensor, and an hour of each for the areas. */
export async function loadReadings(): Promise<void> {
  takeReadings(await list<Reading>('api/v1/readings', {}, 10_000));
  for (const area of store.areaIds.peek() ?? []) await again(`series ${area}`, () => loadSeries(area));
}

async function loadSeries(area: string): Promise<void> {
  const to = store.now();
  const query = { area, from: new Date(to - hour).toISOString(), to: new Date(to).toISOString(), step: '60s' };
  const all = byKey(await list<Series>('api/v1/readings', query, 5000));
  for (const [key, points] of all) store.series.of(key).value = points;
}

/** Takes in readings and draws their lines on. */
export function takeReadings(news: Reading[]): void {
  store.keepReadings(news);
  for (const r of news) {
    const s = store.series.of(keyOf(r));
    s.value = extend(s.peek(), r);
  }
}

export function metric(m: Metric): void {
  store.figures.of(m.name).value = m.value ?? undefined; // nothing measured yet
}

/** What an operator has to know. */
export function alert(a: Alert): void {
  store.log.value = log.merge(store.log.peek(), [log.ofAlert(a, store.now())]);
}

/** Something happened at a sensor. */
export function happened(h: Happened): void {
  store.log.value = log.merge(store.log.peek(), [log.ofHappened(h, store.now(), store.devices.of(h.device).peek()?.name ?? h.device)]);
}

export function topics(news: TopicValue[]): void {
  if (!store.paused.peek()) store.topicRing.value = push(store.topicRing.peek(), news);
}

/** Which parts of the hub work. */
export async function loadReadiness(): Promise<void> {
  try {
    const response = await fetch(address('readyz'), { signal: AbortSignal.timeout(5000) });
    if (response.status === 401) return; // nobody is signed in, which others find out
    store.readiness.value = (await response.json()) as Readiness; // 503 tells its parts too
  } catch {
    store.readiness.value = 'away';
  }
}

/** Keeps memory bounded: a day of orders. */
export function tidy(): void {
  store.forgetOrders(store.now() - 25 * hour);
}

/** The nodes of the hub. */
export async function loadNodes(): Promise<void> {
  await again('nodes', async () => {
    const all = await list<HubNode>('api/v1/nodes', {}, 1000);
    store.log.value = log.merge(store.log.peek(), log.ofNodes(store.nodes.peek(), all, store.now()));
    store.nodes.value = all;
  });
}
