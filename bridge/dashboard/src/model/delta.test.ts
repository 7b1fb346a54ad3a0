import { expect, test } from 'vitest';
import { applyDelta } from './delta';

interface Thing {
  id: string;
  name: string;
  volume: number;
  seq: number;
}

const known: Thing = { id: 'north', name: 'North', volume: 70, seq: 5 };

test('the next number is applied, other keys stay', () => {
  expect(applyDelta(known, { seq: 6, set: { volume: 40 } })).toEqual({ kind: 'applied', value: { ...known, volume: 40, seq: 6 } });
});

test('lower and equal numbers are ignored, also a removal', () => {
  expect(applyDelta(known, { seq: 5, set: { volume: 1 } }).kind).toBe('old');
  expect(applyDelta(known, { seq: 4, removed: true }).kind).toBe('old');
});

test('a hole is told, the object stays as it is', () => {
  expect(applyDelta(known, { seq: 7, set: { volume: 1 } }).kind).toBe('hole');
  expect(known.volume).toBe(70);
});

test('a removal counts even after a hole', () => {
  expect(applyDelta(known, { seq: 9, removed: true }).kind).toBe('removed');
});

test('a new object needs all of it', () => {
  expect(applyDelta<Thing>(undefined, { seq: 3, set: { volume: 1 } }).kind).toBe('hole');
  expect(applyDelta<Thing>(undefined, { seq: 1, set: { id: 'a', name: 'A', members: [], volume: 1 } }).kind).toBe('applied');
});
