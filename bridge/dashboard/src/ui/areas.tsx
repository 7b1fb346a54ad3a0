import { useState } from 'preact/hooks';
import type { Area, Device, Order, Reading } from '../data/wire';
import * as store from '../data/store';
import { age, at, span, value } from '../format';
import { ended, progress } from '../model/orders';
import { keyOf, metricName, pick, spark } from '../model/readings';
import { said, text } from '../text';
import { assign, stop } from './actions';
import { areaFits } from './find';
import { Wave } from './icon';
import { LeadButton } from './lead';

const t = text.area;
const signsShown = 16;
const sensorsShown = 3;

export function Areas() {
  const ids = store.areaIds.value;
  return (
    <section class="areas" id="areas" aria-label={text.areas} {...(ids === null ? { 'aria-busy': 'true' as const } : {})}>
      {ids === null && [1, 2, 3].map((i) => <Skeleton key={i} />)}
      {ids?.map((id) => <AreaCard key={id} id={id} />)}
      {ids?.length === 0 && <p class="panel none">{text.noAreas}</p>}
      <NoneFound />
    </section>
  );
}

function NoneFound() {
  const ids = store.areaIds.value ?? [];
  if (!store.find.value || ids.length === 0) return null;
  const any = ids.some((id) => {
    const a = store.areas.of(id).value;
    return a && areaFits(a);
  });
  return any ? null : <p class="panel none">{text.noneFound}</p>;
}

function Skeleton() {
  return (
    <div class="panel area" aria-hidden="true">
      <div class="sk w40">&nbsp;</div><div class="sk">&nbsp;</div><div class="sk w70">&nbsp;</div><div class="sk">&nbsp;</div>
    </div>
  );
}

function AreaCard({ id }: { id: string }) {
  const a = store.areas.of(id).value;
  if (!a || !areaFits(a)) return null;
  const held = a.busy?.state === 'held';
  const intruders = a.busy?.intruders ?? [];
  return (
    <article class={`panel area ${intruders.length ? 'alert' : held ? 'speaking' : ''}`} data-testid={`area-${id}`} data-state={a.busy?.state ?? 'idle'} aria-labelledby={`area-${id}-name`}>
      <header><h3 id={`area-${id}-name`} title={a.name}>{a.name}</h3><Tag area={a} /></header>
      <Say area={a} />
      <Gates area={a} />
      <Sensors id={id} />
      <Foot area={a} held={held} />
    </article>
  );
}

function Tag({ area }: { area: Area }) {
  const busy = area.busy;
  if (busy?.intruders?.length) return <span class="tag emerg">{t.intruder(busy.intruders.map((d) => store.names.device(d)).join(', '))}</span>;
  if (busy?.state === 'held') return <SpeakingTag area={area} />;
  if (busy?.state === 'settling') return <span class="tag warn">{t.settling}</span>;
  const n = waitingIn(area.id);
  if (n > 0) return <span class="tag">{t.waits(n)}</span>;
  return <span class="tag">{area.topology === 'local' ? t.local : t.quiet}</span>;
}

function SpeakingTag({ area }: { area: Area }) {
  const who = store.names.device(area.busy?.holder ?? null);
  const p = progress(store.order(area.busy?.work), store.tick.value);
  return <span class="tag live"><Wave />{p ? <>{t.left(who, span(p.left))}<span class="word"> {t.leftWord}</span></> : t.speaks(who)}</span>;
}

function Say({ area }: { area: Area }) {
  const busy = area.busy;
  if (busy?.state === 'held') return <Speaking area={area} />;
  if (busy?.state === 'settling') return <div class="say"><span class="q"><em>{t.settlingText}</em></span></div>;
  return <Last area={area} />;
}

function Speaking({ area }: { area: Area }) {
  const o = store.order(area.busy?.work);
  const now = store.tick.value;
  const p = progress(o, now);
  const who = store.names.device(area.busy?.holder ?? null);
  return (
    <div class="say">
      <span class="q" data-testid={`speaking-${area.id}`}>{o ? `“${said(o)}”` : <em>{t.own(who)}</em>}</span>
      {p && (
        <span class="prog" role="progressbar" aria-label={t.progress} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(p.part * 100)} aria-valuetext={t.progressText(span(p.left))}>
          <i style={{ transform: `scaleX(${p.part})` }} />
        </span>
      )}
    </div>
  );
}

function Last({ area }: { area: Area }) {
  const o = lastOf(area.id);
  const now = store.tick.value;
  if (!o) return <div class="say"><span class="q"><em>{t.nothing}</em></span></div>;
  return (
    <div class="say">
      <span class="q"><em>{t.last(o.device ? store.names.device(o.device) : store.targetName(o.to), age(now - (at(o.ended_at) ?? now)))}</em><br />“{said(o)}”</span>
    </div>
  );
}

// The one that sounded last.
function lastOf(area: string): Order | undefined {
  let last: Order | undefined;
  for (const o of store.ordersOf(area).values()) {
    if (ended(o) && o.started_at && o.ended_at && (!last || o.ended_at > last.ended_at!)) last = o;
  }
  return last;
}

function waitingIn(area: string): number {
  return store.waiting.value.filter((w) => w.order.area === area).length;
}

function Gates({ area }: { area: Area }) {
  const [all, setAll] = useState(false);
  const queued = new Map<string, number>();
  for (const { order: o } of store.waiting.value) {
    if (o.area !== area.id) continue;
    const place = o.to.location ? area.locations.find((l) => l.id === o.to.location) : undefined;
    const where = o.device ?? o.to.device ?? place?.device ?? (place && `@${place.id}`);
    if (where) queued.set(where, (queued.get(where) ?? 0) + 1);
  }
  const empty = area.locations.filter((l) => !l.device && !area.members.some((m) => store.devices.of(m).value?.location === l.id));
  const members = orderedMembers(area);
  const most = all ? Infinity : signsShown;
  const hidden = members.length + empty.length - signsShown;
  return (
    <ul class="gates" aria-label={t.gates(area.name)}>
      {members.slice(0, most).map((m) => <li key={m}><Sign id={m} live={area.busy?.state === 'held' && area.busy.holder === m} queued={queued.get(m) ?? 0} /></li>)}
      {empty.slice(0, Math.max(0, most - members.length)).map((l) => (
        <li key={`@${l.id}`}><SignBox label={l.name || l.id} off title={`${l.name || l.id} · ${t.empty}`} queued={queued.get(`@${l.id}`) ?? 0} said={[t.empty]} /></li>
      ))}
      {hidden > 0 && <li><button class="sign more" aria-label={all ? t.fewer : t.moreLabel(hidden)} onClick={() => setAll(!all)}>{all ? t.fewer : t.more(hidden)}</button></li>}
    </ul>
  );
}

// Gates in the order of their places, then the others by id.
function orderedMembers(area: Area): string[] {
  const place = (m: string): number => {
    const i = area.locations.findIndex((l) => l.id === store.devices.of(m).value?.location || l.device === m);
    return i < 0 ? area.locations.length : i;
  };
  return [...area.members].sort((a, b) => place(a) - place(b) || a.localeCompare(b, 'en', { numeric: true }));
}

function Sign({ id, live, queued }: { id: string; live: boolean; queued: number }) {
  const d = store.devices.of(id).value;
  const label = store.names.device(id);
  const off = d !== undefined && d.presence !== 'online';
  return <SignBox id={id} label={label} live={live} off={off} queued={queued} title={d ? text.device.title(d, label) : id} said={[live ? t.speaking : '', off ? presenceWord(d) : '']} />;
}

function presenceWord(d: Device): string {
  if (d.presence === 'asleep') return t.asleep;
  return d.presence === 'unknown' ? t.unknown : t.offline;
}

interface Box {
  id?: string;
  label: string;
  title: string;
  live?: boolean;
  off?: boolean;
  queued: number;
  said: string[];
}

function SignBox({ id, label, title, live, off, queued, said }: Box) {
  const words = [...said, queued ? t.queued(queued) : ''].filter(Boolean).join(', ');
  return (
    <span class={`sign ${live ? 'live' : ''} ${off && !live ? 'off' : ''}`} title={title} {...(id ? { 'data-testid': `gate-${id}` } : {})}>
      <span class="l">{label}</span>{words && <span class="vh"> {words}</span>}{queued > 0 && <span class="badge" aria-hidden="true">{queued}</span>}
    </span>
  );
}

function Sensors({ id }: { id: string }) {
  const list = pick(store.readings.of(id).value.values(), sensorsShown);
  if (list.length === 0) return <div class="sens none"><span>{t.noSensors}</span></div>;
  return <div class="sens">{list.map((r) => <Sensor key={keyOf(r)} reading={r} />)}</div>;
}

function Sensor({ reading: r }: { reading: Reading }) {
  const line = spark(store.series.of(keyOf(r)).value);
  const note = r.quality === 'bad' ? text.sensor.bad : r.quality === 'stale' ? text.sensor.stale : '';
  return (
    <div class={r.quality} data-testid={`reading-${r.area}-${r.metric}`} title={[r.device, r.channel, r.topic, note].filter(Boolean).join(' · ')}>
      <span>{metricName(r.metric)}</span>
      <b>{r.quality === 'bad' ? '–' : value(r.value)} <small>{r.quality === 'bad' ? '' : r.unit}</small><Mark quality={r.quality} /></b>
      {line
        ? <svg viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true"><path class="f" d={line.fill} /><path class="s" d={line.line} vector-effect="non-scaling-stroke" /></svg>
        : <svg viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true"><path class="s none" d="M0 17L100 17" vector-effect="non-scaling-stroke" /></svg>}
    </div>
  );
}

/** The word for a reading that is not what it should be. */
export function Mark({ quality }: { quality: Reading['quality'] }) {
  if (quality === 'good') return null;
  return <span class={`mark ${quality}`} title={quality === 'bad' ? text.sensor.bad : text.sensor.stale}>{quality === 'bad' ? text.sensor.badMark : text.sensor.staleMark}</span>;
}

function Foot({ area, held }: { area: Area; held: boolean }) {
  const on = area.members.filter((m) => store.devices.of(m).value?.presence === 'online').length;
  return (
    <footer>
      <p>
        <span>{t.waiting} <b>{waitingIn(area.id)}</b></span>
        <span>{t.members} <b>{t.online(on, area.members.length)}</b></span>
        <span>{t.volume} <b>{area.volume} %</b></span>
      </p>
      <LeadButton area={area} />
      {held && <button class="stop" data-testid={`stop-${area.id}`} aria-label={t.stopLabel(area.name)} onClick={() => void stop(area.id)}>{t.stop}</button>}
    </footer>
  );
}

const newsShown = 8;

/** Sensors that are in no area yet: one choice puts each into one. */
export function Inbox() {
  const news = new Map<string, Reading[]>();
  for (const r of store.readings.of(store.unassigned).value.values()) {
    const d = store.devices.of(r.device).value;
    if (!d || d.area === store.unassigned) news.set(r.device, [...(news.get(r.device) ?? []), r]);
  }
  for (const id of store.deviceIds.value) {
    const d = store.devices.of(id).value;
    if (d?.kind === 'sensor' && d.area === store.unassigned && !news.has(id)) news.set(id, []);
  }
  if (news.size === 0) return null;
  return (
    <section class="panel inbox" aria-label={text.inbox.label} data-testid="inbox">
      <b>{text.inbox.title(news.size)}</b>
      {[...news].slice(0, newsShown).map(([device, list]) => <NewSensor key={device} device={device} list={list} />)}
      {news.size > newsShown && <span class="it">{text.inbox.more(news.size - newsShown)}</span>}
    </section>
  );
}

function NewSensor({ device, list }: { device: string; list: Reading[] }) {
  const d = store.devices.of(device).value;
  const about = [d && d.name !== device ? d.name : '', d?.attributes?.['model'] ?? d?.attributes?.['convention'] ?? ''].filter((s) => s).join(', ');
  const choose = (e: { currentTarget: HTMLSelectElement }) => {
    const to = e.currentTarget.value;
    e.currentTarget.value = '';
    if (to) void assign(device, to);
  };
  return (
    <span class="it" data-testid={`new-${device}`}>
      <span class="mono" title={about}>{device}</span> {pick(list, 2).map((r) => `${value(r.value)} ${r.unit ?? ''}`.trim()).join(', ')}
      <select class="in" value="" aria-label={text.inbox.putLabel(device)} onChange={choose}>
        <option value="">{text.inbox.put}</option>
        {(store.areaIds.value ?? []).map((id) => <option key={id} value={id}>{store.areas.of(id).value?.name ?? id}</option>)}
      </select>
    </span>
  );
}
