import { expect, test } from 'vitest';
import type { TopicValue } from '../data/wire';
import { chooser, matches, oneLine, push, ringSize } from './topics';

test.each([
  ['a/b', 'a/b', true], ['a/+', 'a/b', true], ['a/+', 'a/b/c', false], ['a/#', 'a', true], ['a/#', 'a/b/c', true],
  ['#', '$SYS/x', false], ['+/b', 'a/b', true], ['a/b/c', 'a/b', false],
])('%s on %s', (filter, topic, want) => expect(matches(filter, topic)).toBe(want));

test('words choose by piece or by filter', () => {
  const choose = chooser('tacet/area/+/busy hall');
  expect(choose('tacet/area/north/busy')).toBe(true);
  expect(choose('home/north/Hall/temperature')).toBe(true);
  expect(choose('tacet/area/north/busy/flag')).toBe(false);
  expect(chooser('  ')('anything')).toBe(true);
});

test('the ring keeps the newest', () => {
  const one = (i: number): TopicValue => ({ topic: `t/${i}`, payload: i, retained: false, qos: 0, ts: i });
  let ring: TopicValue[] = [];
  for (let i = 0; i < 250; i++) ring = push(ring, [one(i)]);
  expect(ring).toHaveLength(ringSize);
  expect(ring[0]!.topic).toBe('t/249');
  expect(push([], [one(1), one(2)]).map((x) => x.ts)).toEqual([2, 1]);
});

test('payloads in one line', () => {
  expect(oneLine({ a: 1 })).toBe('{"a":1}');
  expect(oneLine('21.5')).toBe('21.5');
  expect(oneLine('x'.repeat(300)).length).toBe(241);
});
