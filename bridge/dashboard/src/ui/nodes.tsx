// The processes that are the hub together.

import type { HubNode } from '../data/wire';
import * as store from '../data/store';
import { age } from '../format';
import { text } from '../text';

const t = text.nodes;

const away = (n: HubNode): boolean => n.state === 'gone' || n.state === 'left';

// ready, then in trouble, then dead, then ended in order.
const dots: Record<HubNode['state'], string> = { ready: '', starting: 'n', degraded: 'w', draining: 'w', silent: 'w', failed: 'b', gone: 'b', left: 'n' };

/** Who lives, who has which area, who died. Nothing where the hub is one process. */
export function Nodes() {
  const list = store.nodes.value;
  if (list.length < 2) return null;
  const alive = list.filter((n) => !away(n)).length;
  return (
    <section class="panel" aria-labelledby="h-n" id="nodes" data-testid="nodes">
      <div class="ph"><h2 id="h-n">{t.title}</h2><span class="sub">{t.sub(alive, list.length)}</span></div>
      <ul class="hl">{list.map((n) => <Line key={n.node} n={n} />)}</ul>
    </section>
  );
}

function Line({ n }: { n: HubNode }) {
  const state = t.states[n.state];
  const lag = n.self || away(n) || n.state === 'silent' || n.lag_ms === null ? '' : t.lag(n.lag_ms);
  return (
    <li data-testid={`node-${n.node}`} data-state={n.state} title={[n.version, n.http].filter(Boolean).join(', ')}>
      <span class={`dot ${dots[n.state]}`} />
      <span>{n.node}{n.self && <b> {t.self}</b>}<small>{does(n)}</small></span>
      <span class="r">{state}{lag && <small>{lag}</small>}</span>
    </li>
  );
}

function does(n: HubNode): string {
  if (n.gone_at) return t.since(age(store.tick.value - Date.parse(n.gone_at)));
  const areas = n.kind === 'view' ? t.view : n.areas.length ? n.areas.map(store.names.area).join(', ') : t.noArea;
  return [areas, t.connected(n.connections.web, n.connections.mqtt), n.starts > 1 ? t.starts(n.starts) : ''].filter(Boolean).join(' · ');
}
