import type { Alert, Area, Device, Happened, HubNode, Order, OrderStep } from '../data/wire';
import { at, span } from '../format';
import { said, text } from '../text';

/** One line of what happened. */
export interface Line {
  key: string;
  at: number;
  text: string;
}

/** How many lines are kept. */
export const most = 80;

/** Names for ids, as the page shows them. */
export interface Names {
  device(id: string | null): string;
  area(id: string): string;
}

/**
 * What the history of an order tells. Keys are of the order and the step, so
 * that the same step told twice is one line.
 */
export function ofOrder(o: Order, names: Names): Line[] {
  const lines: Line[] = [];
  (o.history ?? []).forEach((step, i) => {
    const when = at(step.at);
    const told = when === null ? null : tell(o, step, i, names);
    if (when !== null && told) lines.push({ key: `${o.id}/${i}`, at: when, text: told });
  });
  return lines;
}

function tell(o: Order, step: OrderStep, i: number, names: Names): string | null {
  const area = names.area(o.area);
  const what = short(said(o));
  switch (step.state) {
    case 'playing': {
      const asked = at(i > 0 && o.attempt > 1 ? o.history[i - 1]?.at : (o.not_before ?? o.created_at));
      const wait = asked === null ? 0 : (at(step.at) ?? 0) - asked;
      return text.log.spoke(names.device(step.device ?? o.device), area, wait >= 1000 ? span(wait) : null);
    }
    case 'waiting':
      if (step.reason === 'preempted') return text.log.preempted(what, area);
      return step.reason === 'cut' ? text.log.cut(what, area) : null;
    case 'cancelled':
    case 'failed':
    case 'expired':
      return text.log.ended(what, area, text.state({ ...o, state: step.state, reason: step.reason }).toLowerCase());
    default:
      return null;
  }
}

/** What a change of a device tells; null: nothing worth a line. */
export function ofDevice(was: Device | undefined, is: Device, names: Names, now: number): Line | null {
  if (!was || was.presence === is.presence || is.kind !== 'player') return null;
  const line = (said: string): Line => ({ key: `${is.id}/${is.seq}`, at: now, text: said });
  const who = names.device(is.id);
  if (is.presence === 'offline') return line(text.log.offline(who, is.reason));
  if (is.presence === 'online') return line(text.log.online(who));
  return is.presence === 'asleep' ? line(text.log.asleep(who)) : null;
}

/** What a change of an area tells: who sounds without the right to. */
export function ofArea(was: Area | undefined, is: Area, names: Names, now: number): Line | null {
  const before = was?.busy?.intruders ?? [];
  const fresh = (is.busy?.intruders ?? []).filter((id) => !before.includes(id));
  if (!was || fresh.length === 0) return null;
  return { key: `${is.id}/${is.seq}`, at: now, text: text.log.intruder(fresh.map((id) => names.device(id)).join(', '), is.name) };
}

const away = (n: HubNode): boolean => n.state === 'gone' || n.state === 'left';

/**
 * What the newest list of the nodes tells: who died, who ended, who came. Keys are
 * of a node's start, which all nodes tell alike.
 */
export function ofNodes(was: readonly HubNode[], is: readonly HubNode[], now: number): Line[] {
  return is.flatMap((n) => {
    const before = was.find((x) => x.node === n.node);
    const key = `node/${n.node}/${n.started_at}/${away(n) ? 'away' : 'there'}`;
    if (away(n)) {
      if (before && away(before)) return [];
      return [{ key, at: at(n.gone_at) ?? now, text: n.state === 'gone' ? text.log.nodeDied(n.node) : text.log.nodeLeft(n.node) }];
    }
    const came = before ? away(before) : was.length > 0;
    return came ? [{ key, at: now, text: text.log.nodeThere(n.node) }] : [];
  });
}

let alerts = 0;

/** What happened at a sensor, a button that was pressed. Each is a line of its own. */
export function ofHappened(h: Happened, now: number, name: string): Line {
  return { key: `happened/${++alerts}`, at: now, text: text.log.happened(name, h.channel, h.event, String(h.value)) };
}

/** What the hub tells its operators. Each is a line of its own. */
export function ofAlert(a: Alert, now: number): Line {
  return { key: `alert/${++alerts}`, at: now, text: text.log.alert(a.level, a.message) };
}

/** Adds lines, newest first, each key once. */
export function merge(log: readonly Line[], news: readonly Line[]): Line[] {
  const have = new Set(log.map((l) => l.key));
  const fresh = news.filter((l) => !have.has(l.key) && have.add(l.key));
  if (fresh.length === 0) return log as Line[];
  return [...log, ...fresh].sort((a, b) => b.at - a.at).slice(0, most);
}

function short(s: string): string {
  return s.length > 48 ? `${s.slice(0, 46).trimEnd()}…` : s;
}
