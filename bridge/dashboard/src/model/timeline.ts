import type { Stretch } from './orders';

/** What part of time the timeline shows, in milliseconds from now. */
export interface Span {
  back: number;
  ahead: number;
  step: number; // between two marks of the axis
}

const s = 1000;
const m = 60 * s;
const h = 60 * m;

export const spans = {
  '5m': { back: 105 * s, ahead: 195 * s, step: m },
  '1h': { back: 45 * m, ahead: 15 * m, step: 10 * m },
  '24h': { back: 22 * h, ahead: 2 * h, step: 4 * h },
} as const satisfies Record<string, Span>;

/** On a narrow screen the shortest span is shorter. */
export const narrow: Span = { back: 40 * s, ahead: 80 * s, step: m };

/** One bar of a lane; left and width are parts of the lane's width, 0 to 1. */
export interface Bar {
  key: string;
  left: number;
  width: number;
  stretch: Stretch;
  more: number; // further announcements in the same bar
}

/** Least width of a bar that is drawn by itself. */
const least = 0.006;

/**
 * Lays the stretches of one area along its lane. Those too short to be told
 * apart are drawn as one bar with their number, so that a day of announcements
 * stays a few hundred bars. What sounds now is always by itself.
 */
export function lane(list: readonly Stretch[], now: number, span: Span): Bar[] {
  const from = now - span.back;
  const whole = span.back + span.ahead;
  const bars: Bar[] = [];
  const seen = [...list].filter((x) => reach(x, now) > from && x.from < from + whole).sort((a, b) => a.from - b.from);
  for (const stretch of seen) {
    const left = Math.max((stretch.from - from) / whole, 0);
    const right = Math.min((reach(stretch, now) - from) / whole, 1);
    const width = Math.max(right - left, 0);
    const last = bars[bars.length - 1];
    if (last && joins(last, stretch, left, width)) {
      last.width = Math.max(left + width - last.left, last.width);
      last.more++;
      continue;
    }
    bars.push({ key: `${stretch.order.id}/${stretch.kind}/${stretch.from}`, left, width: Math.max(width, 0.003), stretch, more: 0 });
  }
  return bars;
}

// A sounding one that takes longer than thought reaches to now.
function reach(x: Stretch, now: number): number {
  return x.kind === 'live' ? Math.max(x.to, now) : x.to;
}

function joins(last: Bar, next: Stretch, left: number, width: number): boolean {
  const was = last.stretch;
  if (was.kind !== next.kind || next.kind === 'live') return false;
  if (was.order.priority !== next.order.priority && next.order.priority === 'emergency') return false;
  return width < least && (last.more > 0 || last.width < least) && left - (last.left + last.width) < least / 2;
}

/** The marks of the axis: whole steps of the clock, none nearer to the now mark than a part of the axis. */
export function marks(now: number, span: Span, clear: number): { at: number; left: number }[] {
  const whole = span.back + span.ahead;
  const from = now - span.back;
  const zone = new Date(now).getTimezoneOffset() * m;
  const list: { at: number; left: number }[] = [];
  for (let t = Math.ceil((from - zone) / span.step) * span.step + zone; t < from + whole; t += span.step) {
    const left = (t - from) / whole;
    if (Math.abs(t - now) / whole > clear && left > 0.03 && left < 0.97) list.push({ at: t, left });
  }
  return list;
}
