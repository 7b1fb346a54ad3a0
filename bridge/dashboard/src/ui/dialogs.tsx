import { useEffect } from 'preact/hooks';
import * as store from '../data/store';
import { at, clock, span } from '../format';
import type { Stretch } from '../model/orders';
import { said, text } from '../text';
import { dialog, stop } from './actions';
import { LeadWindow } from './lead';
import { close, Window } from './window';

/** The window that is open, if any. */
export function Dialogs() {
  const d = dialog.value;
  if (d?.kind === 'keys') return <Keys />;
  if (d?.kind === 'stop') return <Stop />;
  if (d?.kind === 'lead') return <LeadWindow area={d.area} />;
  return d?.kind === 'order' ? <OrderWindow stretch={d.stretch} more={d.more} /> : null;
}

function Keys() {
  return (
    <Window title={text.keys.title} label={text.keys.close}>
      <dl class="keys">{text.keys.list.map(([key, what]) => <div key={key}><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div>)}</dl>
    </Window>
  );
}

function Stop() {
  const loud = store.speaking.value;
  useEffect(() => {
    if (loud.length === 0) close();
  }, [loud.length]);
  return (
    <Window title={text.stop.title} label={text.stop.cancel}>
      <ul class="stops">
        {loud.map((id) => (
          <li key={id}><button class="btn" onClick={() => void stop(id)}>{store.names.area(id)}</button><span>{store.names.device(store.areas.of(id).value?.busy?.holder ?? null)}</span></li>
        ))}
        {loud.length > 1 && <li><button class="btn p" onClick={() => loud.forEach((id) => void stop(id))}>{text.stop.all}</button></li>}
      </ul>
    </Window>
  );
}

function OrderWindow({ stretch, more }: { stretch: Stretch; more: number }) {
  const o = store.order(stretch.order.id) ?? stretch.order;
  const t = text.order;
  const created = at(o.created_at);
  const lines: [string, string | null][] = [
    [t.to, store.targetName(o.to)], [t.device, o.device && store.names.device(o.device)], [t.state, text.state(o)], [t.priority, text.priorities[o.priority]],
    [t.length, o.duration_ms > 0 ? span(o.duration_ms) : null], [t.created, created === null ? null : clock(created)], [t.schedule, o.schedule], [t.id, o.kind === 'claim' ? null : o.id],
  ];
  return (
    <Window title={t.title} label={t.close}>
      <p class="quote">“{said(o)}”</p>
      {more > 0 && <p class="none">{t.together(more + 1)}</p>}
      <dl class="facts">{lines.map(([k, v]) => v && <div key={k}><dt>{k}</dt><dd>{v}</dd></div>)}</dl>
      {o.history?.length > 0 && <h3>{t.history}</h3>}
      <ul class="log">{o.history?.map((s, i) => <li key={i}><time>{clock(Date.parse(s.at))}</time><span>{text.state({ ...o, state: s.state, reason: s.reason })}{s.device ? ` · ${store.names.device(s.device)}` : ''}</span></li>)}</ul>
    </Window>
  );
}
