import type { TopicValue } from '../data/wire';

/** How many messages the list keeps. */
export const ringSize = 100;

/** Newest first; the oldest fall out. */
export function push(ring: readonly TopicValue[], news: readonly TopicValue[]): TopicValue[] {
  return [...news].reverse().concat(ring).slice(0, ringSize);
}

/** Matches a topic name against an MQTT topic filter. */
export function matches(filter: string, topic: string): boolean {
  const want = filter.split('/');
  const have = topic.split('/');
  if (topic.startsWith('$') && (want[0] === '+' || want[0] === '#')) return false;
  for (let i = 0; i < want.length; i++) {
    if (want[i] === '#') return true;
    if (i >= have.length || (want[i] !== '+' && want[i] !== have[i])) return false;
  }
  return want.length === have.length;
}

/**
 * A filter as people type it: words separated by spaces, any of which may
 * match; a word with + or # is a topic filter, another is a piece of the topic.
 */
export function chooser(text: string): (topic: string) => boolean {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return () => true;
  return (topic) => {
    const low = topic.toLowerCase();
    return words.some((w) => (/[+#]/.test(w) ? matches(w, low) : low.includes(w)));
  };
}

/** A payload in one line. */
export function oneLine(payload: unknown, most = 240): string {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload) ?? '';
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
