import { computed, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Order } from '../data/wire';
import * as store from '../data/store';
import { loadOrders } from '../data/sync';
import { clock, minute, span as length } from '../format';
import { stretches, type Stretch } from '../model/orders';
import { lane, marks, narrow, spans, type Bar, type Span } from '../model/timeline';
import { said, text } from '../text';
import { dialog } from './actions';
import { areaFits } from './find';

type Choice = keyof typeof spans;

const t = text.timeline;
const choice = signal<Choice>('5m');
const asTable = signal(false);
const phone = matchMedia('(max-width:640px)');
const small = signal(phone.matches);
phone.addEventListener('change', (e) => (small.value = e.matches));
const shown = computed<Span>(() => (small.value && choice.value === '5m' ? narrow : spans[choice.value]));
const tableRows = 200;

export function Timeline() {
  useEffect(() => {
    if (store.link.value === 'live') void loadOrders(shown.value.back + 5 * 60_000);
  }, [choice.value, store.link.value]);
  return (
    <section class="panel" aria-labelledby="h-tl" data-testid="timeline">
      <div class="ph">
        <h2 id="h-tl">{t.title}</h2><span class="sub hide-s">{t.sub}</span><span class="sp" />
        <div class="seg" role="group" aria-label={t.span}>
          {(Object.keys(spans) as Choice[]).map((c) => (
            <button key={c} aria-pressed={choice.value === c} onClick={() => (choice.value = c)}>{t.spans[c]}</button>
          ))}
        </div>
        <button class="lnk" data-testid="timeline-table" aria-pressed={asTable.value} onClick={() => (asTable.value = !asTable.value)}>{asTable.value ? t.bars : t.table}</button>
      </div>
      {asTable.value ? <Table /> : <Lanes />}
    </section>
  );
}

function Lanes() {
  const s = shown.value;
  const ids = store.areaIds.value;
  return (
    <div class="tl">
      <div class="tlgrid">
        {ids?.length !== 0 && <Axis span={s} />}
        {ids === null && [1, 2, 3].map((i) => <SkeletonLane key={i} />)}
        {ids?.map((id) => <Lane key={id} id={id} span={s} />)}
        {ids?.length === 0 && <p class="none">{text.noAreas}</p>}
      </div>
      <Legend />
    </div>
  );
}

function Axis({ span }: { span: Span }) {
  const now = store.tick.value;
  const part = span.back / (span.back + span.ahead);
  const list = marks(now, span, small.value ? 0.17 : 0.075); // so wide is the now mark
  return (
    <>
      <div class="axis">{list.map((m) => <span key={m.at} style={{ left: `${m.left * 100}%` }}>{minute(m.at)}{m.at % 60_000 ? <small>:30</small> : null}</span>)}</div>
      <div class="over" aria-hidden="true">
        {list.map((m) => <i key={m.at} class="gl" style={{ left: `${m.left * 100}%` }} />)}
        <div class="nowline" style={{ left: `${part * 100}%` }}><i>{clock(now)}</i></div>
      </div>
    </>
  );
}

function SkeletonLane() {
  return <><div class="lane-l"><b class="sk">&nbsp;</b></div><div class="lane" /></>;
}

function Lane({ id, span }: { id: string; span: Span }) {
  const a = store.areas.of(id).value;
  if (!a || !areaFits(a)) return null;
  const now = store.tick.value;
  const bars = lane(ofArea(id), now, span);
  const on = a.members.filter((m) => store.devices.of(m).value?.presence === 'online').length;
  return (
    <>
      <div class="lane-l"><b title={a.name}>{a.name}</b><small>{t.speakers(a.members.length, on)}</small></div>
      <div class="lane" role="group" aria-label={a.name} data-testid={`lane-${id}`}>{bars.map((b) => <BarButton key={b.key} bar={b} now={now} />)}</div>
    </>
  );
}

function ofArea(id: string): Stretch[] {
  const list: Stretch[] = [];
  for (const o of store.ordersOf(id).values()) list.push(...stretches(o));
  for (const c of store.claims.of(id).value) list.push(ofClaim(id, c));
  return list;
}

// A device that spoke without an order has a bar like every other.
function ofClaim(area: string, c: store.Claim): Stretch {
  const order = {
    id: `claim-${area}-${c.from}`, area, to: { device: c.device }, kind: 'claim', message: text.area.own(store.names.device(c.device)), clip: null,
    priority: 'normal', state: c.to === null ? 'playing' : 'played', reason: null, device: c.device, duration_ms: 0, history: [],
  } as unknown as Order;
  return { order, from: c.from, to: c.to ?? store.tick.value, device: c.device, kind: c.to === null ? 'live' : 'done', cut: false };
}

function who(x: Stretch): string {
  if (x.device) return store.names.device(x.device);
  return store.targetName(x.order.to);
}

// What fits into a bar of a few seconds: the number of the gate, of a device
// without one the number that its name ends with.
function brief(x: Stretch): string {
  const place = x.device ? store.devices.of(x.device).value?.location : x.order.to.location;
  return place ?? x.device?.match(/\d+$/)?.[0] ?? x.device ?? '';
}

function BarButton({ bar, now }: { bar: Bar; now: number }) {
  const x = bar.stretch;
  const o = x.order;
  const gone = x.kind === 'live' ? Math.min(Math.max((now - x.from) / Math.max(x.to - x.from, 1), 0), 1) : 0;
  const label = bar.more
    ? t.more(bar.more + 1)
    : t.bar(who(x), said(o), x.kind === 'plan' ? t.estimated(clock(x.from)) : clock(x.from), length(x.to - x.from), x.cut ? t.cut : text.states[o.state]);
  return (
    <button class={`bar ${x.kind === 'live' ? 'live' : o.priority} ${x.kind} ${x.cut ? 'cut' : ''}`} style={{ left: `${bar.left * 100}%`, width: `calc(${bar.width * 100}% - 2px)` }}
      title={label} onClick={() => (dialog.value = { kind: 'order', stretch: x, more: bar.more })}>
      {x.kind === 'live' && <span class="el" style={{ width: `${gone * 100}%` }} />}
      <span class="vh">{label}</span>
      <span class="in-bar" aria-hidden="true">
        {bar.more ? <b class="many">{bar.more + 1}</b> : <><b class="long">{who(x)}</b><b class="short">{brief(x)}</b><span class="t">{said(o)}</span></>}
      </span>
    </button>
  );
}

function Legend() {
  return (
    <ul class="legend" aria-label={t.legend}>
      <li><i class="live" />{t.speaking}</li>
      {(['background', 'normal', 'high', 'emergency'] as const).map((p) => <li key={p}><i class={p} />{text.priorities[p]}</li>)}
      <li><i class="plan" />{t.planned}</li>
      <li><i class="normal cutmark" />{t.cut}</li>
    </ul>
  );
}

function Table() {
  const now = store.tick.value;
  const s = shown.value;
  const rows = (store.areaIds.value ?? []).flatMap(ofArea).filter((x) => x.to > now - s.back && x.from < now + s.ahead).sort((a, b) => b.from - a.from).slice(0, tableRows);
  return (
    <div class="scroll tall" tabIndex={0} role="region" aria-label={t.caption}>
      <table class="data spoken">
        <caption class="vh">{t.caption}</caption>
        <thead><tr>{t.columns.map((c) => <th key={c} scope="col">{c}</th>)}</tr></thead>
        <tbody>
          {rows.map((x) => (
            <tr key={`${x.order.id}/${x.from}`} class={x.kind}>
              <td>{x.kind === 'plan' ? t.estimated(clock(x.from)) : clock(x.from)}</td><td>{store.names.area(x.order.area)}</td><td>{who(x)}</td><td title={said(x.order)}>{said(x.order)}</td>
              <td>{length(x.to - x.from)}</td><td>{text.priorities[x.order.priority]}</td><td>{x.kind === 'done' && x.cut ? t.cut : text.state(x.order)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length === 0 && <p class="none">{t.none}</p>}
    </div>
  );
}
