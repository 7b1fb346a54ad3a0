// Messages are collected and taken in once per frame, all in one batch: however
// many come, the page paints once. A hidden page takes them in four times a
// second. Readings, of which there may be thousands, wait up to 250 ms and only
// the newest of each key counts.

import { batch } from '@preact/signals';
import type { Reading } from './wire';
import { keyOf } from '../model/readings';

const every = 250; // ms
const most = 20_000; // jobs; beyond it the page asks for everything again

let jobs: (() => void)[] = [];
let asked = false;
let overflow: () => void = () => {};
let takeReadings: (news: Reading[]) => void = () => {};
let pending = new Map<string, Reading>();
let timer = 0;

/** Says what takes the readings, and what to do when too much came at once. */
export function onFrame(taker: (news: Reading[]) => void, tooMuch: () => void): void {
  takeReadings = taker;
  overflow = tooMuch;
}

/** Does the job with the next frame, in order. */
export function later(job: () => void): void {
  if (jobs.length >= most) {
    jobs = [];
    overflow();
    return;
  }
  jobs.push(job);
  if (asked) return;
  asked = true;
  if (document.hidden) setTimeout(flush, every);
  else requestAnimationFrame(flush);
}

/** Takes in a reading soon. */
export function readingSoon(r: Reading): void {
  pending.set(keyOf(r), r);
  if (timer) return;
  timer = window.setTimeout(() => {
    timer = 0;
    const news = [...pending.values()];
    pending = new Map();
    later(() => takeReadings(news));
  }, every);
}

function flush(): void {
  asked = false;
  const todo = jobs;
  jobs = [];
  batch(() => {
    for (const job of todo) job();
  });
}

// A frame that was asked for never comes once the page is hidden.
document.addEventListener('visibilitychange', () => {
  if (asked) flush();
});
