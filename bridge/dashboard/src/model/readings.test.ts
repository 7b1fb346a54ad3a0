import { expect, test } from 'vitest';
import type { Reading } from '../data/wire';
import { extend, keyOf, metricName, pick, spark, type Points } from './readings';

const reading = (over: Partial<Reading>): Reading => ({
  device: 'hall', area: 'north', metric: 'temperature', channel: null, value: 21.5, unit: '°C', quality: 'good', ts: 0, topic: 't', ...over,
});

test('one of each metric comes before a second', () => {
  const all = [reading({ device: 'a' }), reading({ device: 'b' }), reading({ metric: 'co2' }), reading({ metric: 'zeta' }), reading({ metric: 'battery' })];
  expect(pick(all, 3).map((r) => r.metric)).toEqual(['co2', 'temperature', 'zeta']);
  expect(pick(all, 9)).toHaveLength(4);
});

test('keys tell channels apart', () => {
  expect(keyOf(reading({ channel: '1' }))).not.toBe(keyOf(reading({ channel: '2' })));
});

test('live values extend the series, one point a minute, one hour', () => {
  let points: Points = [];
  for (let s = 0; s < 2 * 3600; s += 10) points = extend(points, reading({ ts: s * 1000, value: s }));
  expect(points.length).toBeLessThanOrEqual(61);
  expect(points[points.length - 1]![1]).toBe(7190);
  expect(extend(points, reading({ ts: 5, value: 1 }))).toBe(points);
  expect(extend(points, reading({ quality: 'bad', value: null, ts: 9e9 }))).toBe(points);
});

test('a sparkline needs two points and stays in its box', () => {
  expect(spark([[0, 1]])).toBeNull();
  expect(spark([[0, 1], [10, 3]])!.line).toBe('M0.0 18.0L100.0 3.0');
  expect(spark([[0, 1], [10, 1]])!.line).toBe('M0.0 10.0L100.0 10.0');
});

test('names of metrics', () => {
  expect([metricName('co2'), metricName('sound_level')]).toEqual(['CO₂', 'Sound level']);
});
