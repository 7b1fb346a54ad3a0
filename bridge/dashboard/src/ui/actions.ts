// What the person at the screen can set in motion from more than one place.

import { signal } from '@preact/signals';
import type { Order } from '../data/wire';
import type { Stretch } from '../model/orders';
import { areas, speaking } from '../data/store';
import { orderChanged } from '../data/sync';
import { del, post, put, Problem } from '../data/rest';
import { text } from '../text';

/** A short word at the foot of the page; it goes by itself. */
export interface Toast {
  id: number;
  text: string;
}

export const toasts = signal<readonly Toast[]>([]);
export const dialog = signal<null | { kind: 'keys' } | { kind: 'stop' } | { kind: 'lead'; area: string } | { kind: 'order'; stretch: Stretch; more: number }>(null);

let next = 0;

export function say(words: string): void {
  const id = ++next;
  toasts.value = [...toasts.value.slice(-2), { id, text: words }];
  setTimeout(() => (toasts.value = toasts.value.filter((t) => t.id !== id)), 6000);
}

/** Why something did not work, in words. */
export function why(e: unknown): string {
  return e instanceof Problem ? e.detail || e.code : text.form.unreachable;
}

/** Ends what sounds in an area; what waits there goes on. */
export async function stop(area: string): Promise<void> {
  try {
    await post(`api/v1/areas/${encodeURIComponent(area)}/stop?waiting=false`);
    say(text.stop.done(areas.of(area).peek()?.name ?? area));
  } catch (e) {
    say(text.stop.failed(why(e)));
  }
}

/** The stop key: at once where one area speaks, a question where several do. */
export function stopKey(): void {
  const loud = speaking.peek();
  if (loud.length === 0) say(text.stop.none);
  else if (loud.length === 1) void stop(loud[0]!);
  else dialog.value = { kind: 'stop' };
}

/** Puts a sensor into an area, for good. */
export async function assign(device: string, area: string): Promise<void> {
  const name = areas.of(area).peek()?.name ?? area;
  try {
    await put(`api/v1/devices/${encodeURIComponent(device)}`, { area });
    say(text.inbox.done(device, name));
  } catch (e) {
    say(text.inbox.failed(why(e)));
  }
}

/** Takes back an order that waits. */
export async function cancel(id: string): Promise<void> {
  try {
    const o = await del<Order | null>(`api/v1/orders/${encodeURIComponent(id)}`);
    if (o) orderChanged(o);
    say(text.queue.cancelled);
  } catch (e) {
    say(why(e));
  }
}
