// Numbers and times for people. Times are of the browser's zone, 24 hours.

const number = new Intl.NumberFormat('en');
const one = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

/** 1460 becomes "1,460"; small numbers keep one digit after the point. */
export function count(n: number): string {
  return Math.abs(n) >= 100 || Number.isInteger(n) ? number.format(Math.round(n)) : one.format(n);
}

const two = (n: number): string => String(n).padStart(2, '0');

/** "14:32:18". */
export function clock(ms: number): string {
  const d = new Date(ms);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** "14:32". */
export function minute(ms: number): string {
  return clock(ms).slice(0, 5);
}

/** A length of time in few characters that no line breaks: "34 s", "1:06", "2 h 05". */
export function span(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s}\u00a0s`;
  if (s < 3600) return `${Math.floor(s / 60)}:${two(s % 60)}`;
  return `${Math.floor(s / 3600)}\u00a0h\u00a0${two(Math.floor((s % 3600) / 60))}`;
}

/** How long ago, in words: "44 s", "4 min", "3 h", "2 days". */
export function age(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 48 * 3600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} days`;
}

/** Milliseconds since 1970 of an instant of the wire, or null. */
export function at(instant: string | null | undefined): number | null {
  if (!instant) return null;
  const ms = Date.parse(instant);
  return Number.isNaN(ms) ? null : ms;
}

/** The value of a reading without its unit. */
export function value(v: number | boolean | string | null): string {
  if (v === null || v === undefined) return '–';
  if (typeof v === 'boolean') return v ? 'on' : 'off';
  return typeof v === 'number' ? count(v) : v;
}
