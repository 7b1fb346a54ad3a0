import { expect, test } from 'vitest';
import { age, at, clock, count, span, value } from './format';

test.each([
  [1460, '1,460'], [21.55, '21.6'], [0, '0'], [212.4, '212'], [-3.25, '-3.3'],
])('count %d', (n, want) => expect(count(n)).toBe(want));

test.each([
  [34_000, '34\u00a0s'], [66_000, '1:06'], [-5, '0\u00a0s'], [7_500_000, '2\u00a0h\u00a005'],
])('span of %d ms', (ms, want) => expect(span(ms)).toBe(want));

test.each([
  [44_000, '44 s'], [240_000, '4 min'], [3 * 3600_000, '3 h'], [5 * 86400_000, '5 days'],
])('age of %d ms', (ms, want) => expect(age(ms)).toBe(want));

test('clock has 24 hours', () => expect(clock(new Date(2026, 10, 21, 17, 5, 9).getTime())).toBe('17:05:09'));

test('instants', () => {
  expect(at('2026-11-21T10:00:34.000Z')).toBe(Date.UTC(2026, 10, 21, 10, 0, 34));
  expect(at(null)).toBeNull();
  expect(at('soon')).toBeNull();
});

test('values', () => {
  expect([value(21.5), value(true), value('open'), value(null)]).toEqual(['21.5', 'on', 'open', '–']);
});
