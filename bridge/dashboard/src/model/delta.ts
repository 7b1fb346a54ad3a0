import type { Delta } from '../data/wire';

/** What became of a delta. */
export type Outcome<T> =
  | { kind: 'old' } // lower or equal number: nothing to do
  | { kind: 'applied'; value: T }
  | { kind: 'removed' }
  | { kind: 'hole' }; // something was missed: ask for the whole object

/**
 * Applies one delta to the object that is known, if any. Numbers grow by one
 * per object. An object that is not known yet begins with a delta that carries
 * all of it.
 */
export function applyDelta<T extends { id: string; seq: number }>(known: T | undefined, delta: Delta): Outcome<T> {
  if (known && delta.seq <= known.seq) return { kind: 'old' };
  if (delta.removed) return { kind: 'removed' };
  const set = delta.set ?? {};
  if (!known) {
    return isWhole(set) ? { kind: 'applied', value: { ...set, seq: delta.seq } as T } : { kind: 'hole' };
  }
  if (delta.seq !== known.seq + 1) return { kind: 'hole' };
  return { kind: 'applied', value: { ...known, ...set, seq: delta.seq } as T };
}

// Every whole object names itself and has its lists.
function isWhole(set: Record<string, unknown>): boolean {
  return typeof set.id === 'string' && typeof set.name === 'string' && (Array.isArray(set.members) || typeof set.presence === 'string');
}
