import * as store from '../data/store';
import { clock, span } from '../format';
import { said, text } from '../text';
import { cancel } from './actions';
import { Icon } from './icon';

const shown = 12;

/** All that waits, with the time until it starts. */
export function Waiting() {
  const list = store.waiting.value;
  const areas = new Set(list.map((w) => w.order.area)).size;
  return (
    <section class="panel" aria-labelledby="h-q" id="waiting">
      <div class="ph"><h2 id="h-q">{text.waiting}</h2>{list.length > 0 && <span class="sub">{text.queue.sub(list.length, areas)}</span>}</div>
      {list.length === 0 ? <p class="none">{text.queue.none}</p> : (
        <ol class="queue" data-testid="waiting-list">{list.slice(0, shown).map((w) => <Wait key={w.order.id} wait={w} />)}</ol>
      )}
      {list.length > shown && <p class="none">{text.queue.more(list.length - shown)}</p>}
    </section>
  );
}

function Wait({ wait: { order: o, start } }: { wait: store.Wait }) {
  const what = said(o);
  const where = o.to.area ? '' : store.targetName(o.to);
  const left = start === null ? null : start - store.tick.value;
  return (
    <li data-testid={`waiting-${o.id}`} data-order={o.id}>
      <span class="sign"><span class="l">{o.device ? store.names.device(o.device) : where || store.names.area(o.area)}</span></span>
      <span class="a" title={what}><i class={`kd ${o.priority}`} />{o.priority !== 'normal' && <span class="vh">{text.priorities[o.priority]}: </span>}{what}</span>
      <span class="b">{behind(o, start)}{o.attempt > 1 ? `, ${text.attempt(o.attempt)}` : ''}</span>
      <span class="c">{left === null ? text.queue.noEstimate : left < 1500 ? text.queue.soon : span(left)}</span>
      <button class="cancel" data-testid={`cancel-${o.id}`} aria-label={text.queue.cancel(what)} title={text.queue.cancel(what)} onClick={() => void cancel(o.id)}><Icon name="cross" /></button>
    </li>
  );
}

function behind(o: store.Wait['order'], start: number | null): string {
  const area = store.names.area(o.area);
  const first = o.after ? store.order(o.after) : undefined;
  if (o.not_before && start !== null) return text.queue.at(area, clock(start));
  if (first?.device) return text.queue.after(area, store.names.device(first.device));
  return area;
}

/** Whether the parts of the hub work. */
export function Health() {
  const r = store.readiness.value;
  const live = store.link.value === 'live' && !store.stale.value;
  const all = store.deviceIds.value.length;
  const { online, gone } = store.present.value;
  const parts = r && r !== 'away' ? Object.entries(r.parts ?? {}) : [];
  const nodes = store.nodes.value.filter((n) => n.state !== 'left'); // who ended in order is not missed
  const dead = nodes.filter((n) => n.state === 'gone' || n.state === 'silent').map((n) => n.node);
  const warnings = parts.filter(([, p]) => !p.ok).length + (r === 'away' ? 1 : 0) + (live ? 0 : 1) + (gone > 0 ? 1 : 0) + (dead.length > 0 ? 1 : 0);
  return (
    <section class="panel" aria-labelledby="h-h" id="health" data-testid="health">
      <div class="ph"><h2 id="h-h">{text.health.title}</h2><span class="sub">{warnings ? text.health.warnings(warnings) : text.health.fine}</span></div>
      <ul class="hl">
        <Part ok={r === null ? null : r !== 'away' && r.status === 'ready'} name={text.health.hub} how={store.nodes.value.find((n) => n.self)?.node ?? ''}
          state={r === null ? text.health.unknown : r === 'away' ? text.health.noAnswer : (text.health.statuses[r.status] ?? r.status)} />
        {parts.map(([name, p]) => <Part key={name} ok={p.ok} name={text.health.part(name)} how={p.mode ?? p.detail ?? ''} state={p.ok ? text.health.ok : text.health.away} />)}
        {nodes.length > 1 && <Part ok={dead.length === 0} name={text.health.nodes} how={dead.length ? text.health.dead(dead.join(', ')) : ''} state={text.area.online(nodes.length - dead.length, nodes.length)} />}
        <Part ok={live} name={text.health.page} how={text.health.pageHow} state={live ? text.live(store.roundTrip.value).replace('Live, ', '') : text.reconnecting} />
        {all > 0 && <Part ok={gone === 0} name={text.health.devices} how={text.health.offline(gone)} state={text.health.online(online)} />}
      </ul>
    </section>
  );
}

function Part({ ok, name, how, state }: { ok: boolean | null; name: string; how: string; state: string }) {
  return (
    <li><span class={`dot ${ok === null ? 'n' : ok ? '' : 'w'}`} />
      <span>{ok === false && <span class="vh">{text.health.warning}: </span>}{name}{how && <small>{how}</small>}</span><span class="r">{state}</span></li>
  );
}
