// What the page knows, in signals: one per area and device, so that a message
// redraws what it is about and nothing else.

import { computed, effect, signal, type Signal } from '@preact/signals';
import type { Area, Device, HubNode, Order, Readiness, Reading, TopicValue } from './wire';
import { ended, waits } from '../model/orders';
import type { Line, Names } from '../model/log';
import { keyOf, type Points } from '../model/readings';

/** Sensors without an area are kept under this name. */
export const unassigned = 'unassigned';

class Shelf<T> {
  private readonly signals = new Map<string, Signal<T>>();
  constructor(private readonly empty: T) {}
  /** The signal of a key; made on demand. */
  of(key: string): Signal<T> {
    let s = this.signals.get(key);
    if (!s) this.signals.set(key, (s = signal(this.empty)));
    return s;
  }
}

/** A device that spoke without an order. */
export interface Claim {
  device: string;
  from: number;
  to: number | null; // null: it still speaks
}

export type Readings = ReadonlyMap<string, Reading>;
export type Link = 'connecting' | 'live' | 'reconnecting';

export const areaIds = signal<readonly string[] | null>(null); // null: no snapshot yet
export const areas = new Shelf<Area | undefined>(undefined);
export const deviceIds = signal<readonly string[]>([]);
export const devices = new Shelf<Device | undefined>(undefined);
export const readings = new Shelf<Readings>(new Map()); // by area
export const readingAreas = signal<readonly string[]>([]);
export const series = new Shelf<Points>([]); // by key of a reading
export const figures = new Shelf<number | undefined>(undefined); // the numbers, by name
export const claims = new Shelf<readonly Claim[]>([]); // by area
export const topicRing = signal<readonly TopicValue[]>([]);
export const paused = signal(false);
export const log = signal<readonly Line[]>([]);
export const readiness = signal<Readiness | null | 'away'>(null);
export const nodes = signal<readonly HubNode[]>([]); // as the one that serves this page sees them; kept while it does not answer

export const link = signal<Link>('connecting');
export const roundTrip = signal<number | null>(null);
export const lastHeard = signal(0); // page's clock; 0: never
export const stale = signal(false);
export const clockOffset = signal(0); // hub's clock less ours, ms
export const tick = signal(Date.now()); // hub's time, once a second
export const find = signal('');

/** Time as the hub has it. */
export const now = (): number => Date.now() + clockOffset.peek();

// Orders: immutable objects, by area; a counter per area tells of changes.
const byArea = new Map<string, Map<string, Order>>();
const home = new Map<string, string>(); // id -> area
const changes = new Shelf<number>(0);
export const anyOrder = signal(0);

/** The orders of an area; reading it subscribes to its changes. */
export function ordersOf(area: string): ReadonlyMap<string, Order> {
  changes.of(area).value;
  return byArea.get(area) ?? new Map();
}

/** An order by its id; subscribes to changes of its area. */
export function order(id: string | null | undefined): Order | undefined {
  if (!id) return undefined;
  const area = home.get(id);
  if (area === undefined) {
    anyOrder.value;
    return undefined;
  }
  return ordersOf(area).get(id);
}

export const peekOrder = (id: string): Order | undefined => byArea.get(home.get(id) ?? '')?.get(id);

export function keepOrder(o: Order): void {
  let all = byArea.get(o.area);
  if (!all) byArea.set(o.area, (all = new Map()));
  all.set(o.id, o);
  home.set(o.id, o.area);
  changes.of(o.area).value++;
  anyOrder.value++;
}

/** Every order that the page has. */
export function* allOrders(): Iterable<Order> {
  for (const all of byArea.values()) yield* all.values();
}

/** Forgets what has not ended: after an interruption the hub tells of it again. */
export function forgetOpen(): void {
  for (const [area, all] of byArea) {
    for (const o of all.values()) {
      if (ended(o)) continue;
      all.delete(o.id);
      home.delete(o.id);
    }
    changes.of(area).value++;
  }
  anyOrder.value++;
}

/** Forgets ended orders from before an instant. */
export function forgetOrders(before: number): void {
  for (const all of byArea.values()) {
    for (const o of all.values()) {
      if (o.ended_at && Date.parse(o.ended_at) < before) {
        all.delete(o.id);
        home.delete(o.id);
      }
    }
  }
}

/** One line of the waiting list. */
export interface Wait {
  order: Order;
  start: number | null;
}

/** All that waits, the next to start first. */
export const waiting = computed<Wait[]>(() => {
  anyOrder.value;
  const list: Wait[] = [];
  for (const id of areaIds.value ?? []) {
    const queue = areas.of(id).value?.queue ?? [];
    const starts = new Map(queue.map((q) => [q.order, q.estimated_start]));
    for (const o of ordersOf(id).values()) {
      if (!waits(o)) continue;
      const start = starts.has(o.id) ? starts.get(o.id) : o.estimated_start;
      list.push({ order: o, start: start ? Date.parse(start) : null });
    }
  }
  return list.sort((a, b) => (a.start ?? Infinity) - (b.start ?? Infinity) || a.order.created_at.localeCompare(b.order.created_at));
});

/** Areas in which somebody speaks now. */
export const speaking = computed<string[]>(() => (areaIds.value ?? []).filter((id) => areas.of(id).value?.busy?.state === 'held'));

/** How many devices are online, players and sensors, and how many players are gone. */
export const present = computed<{ online: number; gone: number }>(() => {
  let online = 0;
  let gone = 0;
  for (const id of deviceIds.value) {
    const d = devices.of(id).value;
    if (d?.presence === 'online') online++;
    if (d?.presence === 'offline' && d.kind === 'player') gone++;
  }
  return { online, gone };
});

/** How many values the sensors give. */
export const sensorCount = computed(() => readingAreas.value.reduce((n, a) => n + readings.of(a).value.size, 0));

/** Names for people; they subscribe where a component asks. */
export const names: Names = {
  device: (id) => (id ? gateName(id) : '–'),
  area: (id) => areas.of(id).value?.name ?? id,
};

/** A device as its gate sign shows it: the name of its location, else its own. */
export function gateName(id: string): string {
  const d = devices.of(id).value;
  const place = d?.location ? areas.of(d.area).value?.locations.find((l) => l.id === d.location) : undefined;
  return place?.name || d?.name || id;
}

/** Where an order goes, for people. */
export function targetName(to: { area?: string; location?: string; device?: string }): string {
  if (to.area) return names.area(to.area);
  if (to.device) return gateName(to.device);
  for (const id of areaIds.value ?? []) {
    const place = areas.of(id).value?.locations.find((l) => l.id === to.location);
    if (place) return place.name || place.id;
  }
  return to.location ?? '–';
}

/** Puts newer readings in their place. */
export function keepReadings(news: Iterable<Reading>): void {
  const touched = new Map<string, Map<string, Reading>>();
  for (const r of news) {
    const area = r.area || unassigned;
    let all = touched.get(area);
    if (!all) touched.set(area, (all = new Map(readings.of(area).peek())));
    const was = all.get(keyOf(r));
    if (!was || r.ts >= was.ts) all.set(keyOf(r), r);
  }
  for (const [area, all] of touched) readings.of(area).value = all;
  const fresh = [...touched.keys()].filter((a) => !readingAreas.peek().includes(a));
  if (fresh.length > 0) readingAreas.value = [...readingAreas.peek(), ...fresh];
}

/** Takes the readings of a sensor out of every area but the one it is in. */
export function moveSensor(device: string, to: string): void {
  for (const area of readingAreas.peek()) {
    if (area === to) continue;
    const all = readings.of(area).peek();
    const kept = new Map([...all].filter(([, r]) => r.device !== device));
    if (kept.size !== all.size) readings.of(area).value = kept;
  }
}

// Between two reports of the hub the page's own count is the newer.
effect(() => {
  if (areaIds.value === null) return;
  figures.of('speaking').value = speaking.value.length;
});
effect(() => {
  if (areaIds.value === null) return;
  figures.of('waiting').value = waiting.value.length;
});
effect(() => {
  if (deviceIds.value.length > 0) figures.of('online').value = present.value.online;
});
