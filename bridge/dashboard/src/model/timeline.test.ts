import { expect, test } from 'vitest';
import type { Order, OrderStep } from '../data/wire';
import { newer, progress, stretches } from './orders';
import { lane, marks, spans } from './timeline';

const t0 = Date.UTC(2026, 10, 21, 10, 0, 0);
const iso = (s: number): string => new Date(t0 + s * 1000).toISOString();
const step = (state: OrderStep['state'], s: number, reason: string | null = null): OrderStep => ({ state, at: iso(s), device: 'gate-1', reason });

function order(over: Partial<Order>): Order {
  return {
    id: 'o-1', to: { area: 'north' }, area: 'north', kind: 'announce', message: 'Hello', clip: null, chime: 'none', priority: 'normal',
    state: 'waiting', reason: null, attempt: 1, device: 'gate-1', duration_ms: 4000, created_at: iso(0), not_before: null,
    estimated_start: null, after: null, started_at: null, ended_at: null, expires_at: iso(300), schedule: null, history: [], ...over,
  };
}

test('an order that was cut and said again has two stretches, the first with the mark', () => {
  const o = order({
    state: 'played', started_at: iso(20), ended_at: iso(24),
    history: [step('accepted', 0), step('playing', 1), step('waiting', 3, 'preempted'), step('playing', 20), step('played', 24)],
  });
  expect(stretches(o).map((x) => [(x.from - t0) / 1000, (x.to - t0) / 1000, x.kind, x.cut])).toEqual([[1, 3, 'done', true], [20, 24, 'done', false]]);
});

test('what sounds is live up to its expected end', () => {
  const o = order({ state: 'playing', started_at: iso(10), history: [step('accepted', 0), step('playing', 10)] });
  expect(stretches(o)[0]).toMatchObject({ kind: 'live', from: t0 + 10_000, to: t0 + 14_000, cut: false });
});

test('what waits is planned at its estimated start; without one it has no place', () => {
  expect(stretches(order({ estimated_start: iso(34) }))[0]).toMatchObject({ kind: 'plan', from: t0 + 34_000, to: t0 + 38_000 });
  expect(stretches(order({}))).toEqual([]);
});

test('a stopped one carries the cut mark', () => {
  const o = order({ state: 'cancelled', reason: 'stop', ended_at: iso(12), history: [step('playing', 10), step('cancelled', 12, 'stop')] });
  expect(stretches(o)[0]).toMatchObject({ kind: 'done', cut: true, to: t0 + 12_000 });
});

test('bars are parts of the lane, clipped to it', () => {
  const now = t0 + 105_000;
  const bars = lane(stretches(order({ state: 'played', ended_at: iso(10), history: [step('playing', -10), step('played', 10)] })), now, spans['5m']);
  expect(bars).toHaveLength(1);
  expect(bars[0]!.left).toBe(0);
  expect(bars[0]!.width).toBeCloseTo(10 / 300);
});

test('one that takes longer than thought reaches to now', () => {
  const now = t0 + 60_000;
  const bars = lane(stretches(order({ state: 'playing', started_at: iso(10), history: [step('playing', 10)] })), now, spans['5m']);
  expect(bars[0]!.left + bars[0]!.width).toBeCloseTo(105 / 300);
});

test('a day of short ones becomes few bars', () => {
  const many = Array.from({ length: 5000 }, (_, i) => stretches(order({
    id: `o-${i}`, state: 'played', ended_at: iso(-i * 12 + 4), history: [step('playing', -i * 12), step('played', -i * 12 + 4)],
  }))).flat();
  const bars = lane(many, t0 + 60_000, spans['24h']);
  expect(bars.length).toBeLessThan(400);
  expect(bars.reduce((n, b) => n + 1 + b.more, 0)).toBe(5000);
});

test('marks keep away from now and from the edges', () => {
  const list = marks(t0 + 18_000, spans['5m'], 0.075);
  expect(list.map((x) => x.left).every((x) => x > 0.03 && x < 0.97)).toBe(true);
  expect(list.every((x) => Math.abs(x.at - t0 - 18_000) > 22_000)).toBe(true);
  expect(list.every((x) => x.at % 60_000 === 0)).toBe(true);
  expect(marks(t0 + 18_000, spans['5m'], 0.17)).toHaveLength(list.length - 1);
});

test('of two copies the longer history and the end win', () => {
  const waiting = order({ history: [step('accepted', 0)] });
  const playing = order({ state: 'playing', history: [step('accepted', 0), step('playing', 1)] });
  const played = order({ state: 'played', history: [] });
  expect(newer(playing, waiting)).toBe(playing);
  expect(newer(waiting, playing)).toBe(playing);
  expect(newer(played, playing)).toBe(played);
  expect(newer(playing, played)).toBe(played);
});

test('progress stays between nothing and all', () => {
  const o = order({ state: 'playing', started_at: iso(0) });
  expect(progress(o, t0 + 1000)).toEqual({ part: 0.25, left: 3000 });
  expect(progress(o, t0 + 9000)).toEqual({ part: 1, left: 0 });
  expect(progress(order({}), t0)).toBeNull();
});
