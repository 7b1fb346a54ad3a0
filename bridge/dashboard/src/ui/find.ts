// What the box at the head looks for: areas with their gates and sensors,
// readings, topics.

import { computed } from '@preact/signals';
import type { Area, Reading } from '../data/wire';
import * as store from '../data/store';
import { metricName } from '../model/readings';
import { chooser } from '../model/topics';

const words = computed(() => store.find.value.trim().toLowerCase());

const holds = (parts: (string | null | undefined)[]): boolean => parts.some((p) => p?.toLowerCase().includes(words.value));

/** Whether an area is to be shown: by its own name, a gate, a device or a sensor. */
export function areaFits(a: Area): boolean {
  if (!words.value) return true;
  if (holds([a.id, a.name, ...a.members, ...a.locations.flatMap((l) => [l.id, l.name])])) return true;
  if (a.members.some((m) => holds([store.devices.of(m).value?.name]))) return true;
  return [...store.readings.of(a.id).value.values()].some(readingFits);
}

export function readingFits(r: Reading): boolean {
  return !words.value || holds([r.device, r.metric, metricName(r.metric), r.channel, r.topic, r.area, store.areas.of(r.area).peek()?.name]);
}

/** A test for topic names, or null where nothing is looked for. */
export const topicFits = computed(() => (words.value ? chooser(words.value) : null));

/** How much was found; null where nothing is looked for. */
export const found = computed(() => {
  if (!words.value) return null;
  const areas = (store.areaIds.value ?? []).filter((id) => {
    const a = store.areas.of(id).value;
    return a && areaFits(a);
  }).length;
  const sensors = store.readingAreas.value.reduce((n, a) => n + [...store.readings.of(a).value.values()].filter(readingFits).length, 0);
  return { areas, sensors, topics: store.topicRing.value.filter((t) => topicFits.value?.(t.topic)).length };
});
