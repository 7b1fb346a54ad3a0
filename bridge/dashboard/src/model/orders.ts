import type { Order, OrderState } from '../data/wire';
import { at } from '../format';

const ends: ReadonlySet<OrderState> = new Set<OrderState>(['played', 'expired', 'cancelled', 'failed']);

/** An ended order never changes. */
export function ended(order: Order): boolean {
  return ends.has(order.state);
}

/** It was accepted, has not ended and does not sound. */
export function waits(order: Order): boolean {
  return !ended(order) && order.state !== 'playing';
}

/**
 * Which of two copies of one order is the newer: answers to requests and
 * events may cross on the way.
 */
export function newer(known: Order | undefined, got: Order): Order {
  if (!known) return got;
  if (ended(known)) return known;
  if (ended(got)) return got;
  return got.history.length >= known.history.length ? got : known;
}

/** One stretch of sound of an order. */
export interface Stretch {
  order: Order;
  from: number; // milliseconds since 1970
  to: number;
  device: string | null;
  kind: 'live' | 'done' | 'plan';
  cut: boolean; // it did not sound to its end
}

const cached = new WeakMap<Order, Stretch[]>();

/**
 * When an order sounded, sounds and will sound: one stretch per attempt from
 * its history, and the one that is estimated.
 */
export function stretches(order: Order): Stretch[] {
  let list = cached.get(order);
  if (!list) {
    list = derive(order);
    cached.set(order, list);
  }
  return list;
}

function derive(order: Order): Stretch[] {
  const list: Stretch[] = [];
  const steps = order.history ?? [];
  steps.forEach((step, i) => {
    const from = at(step.at);
    if (step.state !== 'playing' || from === null) return;
    const next = steps[i + 1];
    const device = step.device ?? order.device;
    if (!next) {
      const over = at(order.ended_at);
      list.push(order.state === 'playing' || over === null
        ? { order, from, to: from + order.duration_ms, device, kind: 'live', cut: false }
        : { order, from, to: over, device, kind: 'done', cut: order.state !== 'played' });
      return;
    }
    list.push({ order, from, to: at(next.at) ?? from, device, kind: 'done', cut: next.state !== 'played' });
  });
  if (list.length === 0) {
    const from = at(order.started_at);
    if (from !== null) {
      const over = at(order.ended_at);
      list.push({
        order, from, to: over ?? from + order.duration_ms, device: order.device,
        kind: over === null ? 'live' : 'done', cut: over !== null && order.state !== 'played',
      });
    }
  }
  const start = at(order.estimated_start);
  if (waits(order) && start !== null) {
    list.push({ order, from: start, to: start + order.duration_ms, device: order.device, kind: 'plan', cut: false });
  }
  return list;
}

/** How far a sounding order is, 0 to 1, and what is left of it; null: not known. */
export function progress(order: Order | undefined, now: number): { part: number; left: number } | null {
  const from = order && at(order.started_at);
  if (!order || !from || order.duration_ms <= 0) return null;
  const gone = Math.min(Math.max(now - from, 0), order.duration_ms);
  return { part: gone / order.duration_ms, left: order.duration_ms - gone };
}
