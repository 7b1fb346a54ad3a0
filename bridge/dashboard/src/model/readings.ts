import type { Reading, Series } from '../data/wire';

/** What names a reading: device, metric and channel. */
export function keyOf(r: { device: string; metric: string; channel: string | null }): string {
  return `${r.device}\n${r.metric}\n${r.channel ?? ''}`;
}

// What people ask for first.
const first = ['noise', 'sound_pressure', 'sound_level', 'co2', 'temperature', 'humidity', 'illuminance', 'pressure', 'power', 'wind_speed'];

function rank(metric: string): number {
  const i = first.indexOf(metric);
  return i < 0 ? first.length : i;
}

/**
 * Picks readings for a card: one per metric before a second of the same, in the
 * order of what people ask for first.
 */
export function pick(all: Iterable<Reading>, most: number): Reading[] {
  const list = [...all].filter((r) => r.metric !== 'battery' && r.metric !== 'rssi' && r.metric !== 'linkquality')
    .sort((a, b) => rank(a.metric) - rank(b.metric) || a.metric.localeCompare(b.metric) || keyOf(a).localeCompare(keyOf(b)));
  const seen = new Set<string>();
  const heads = list.filter((r) => !seen.has(r.metric) && seen.add(r.metric));
  return heads.concat(list.filter((r) => !heads.includes(r))).slice(0, most);
}

/** A metric in words: "sound_level" becomes "Sound level", "co2" "CO₂". */
export function metricName(metric: string): string {
  if (metric === 'co2') return 'CO₂';
  const text = metric.replace(/_/g, ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export type Points = readonly (readonly [number, number])[];

const hour = 3_600_000;
const minute = 60_000;

/** Adds a live value: one point per minute, an hour in all. */
export function extend(points: Points, r: Reading): Points {
  if (typeof r.value !== 'number' || r.quality !== 'good') return points;
  const last = points[points.length - 1];
  if (last && r.ts < last[0]) return points;
  const slot = Math.floor(r.ts / minute);
  const kept = last && Math.floor(last[0] / minute) === slot ? points.slice(0, -1) : points;
  const start = last && kept.length < points.length ? last[0] : r.ts;
  return [...kept.filter((p) => p[0] > r.ts - hour), [start, r.value]];
}

/** The points of an answer, by key. */
export function byKey(items: readonly Series[]): Map<string, Points> {
  return new Map(items.map((x) => [keyOf(x), x.points]));
}

/** The path of a sparkline in a box of 100 by 20; empty where there is too little. */
export function spark(points: Points): { line: string; fill: string } | null {
  if (points.length < 2) return null;
  const values = points.map((p) => p[1]);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const from = points[0]![0];
  const whole = points[points.length - 1]![0] - from || 1;
  const flat = high === low;
  const line = points.map((p, i) => {
    const x = ((p[0] - from) / whole) * 100;
    const y = flat ? 10 : 18 - ((p[1] - low) / (high - low)) * 15;
    return `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`;
  }).join('');
  return { line, fill: `${line}L100 20L0 20Z` };
}
