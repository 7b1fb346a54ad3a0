import { signal } from '@preact/signals';
import type { Reading, TopicValue } from '../data/wire';
import * as store from '../data/store';
import { age, clock, count, value } from '../format';
import { keyOf, metricName } from '../model/readings';
import { chooser, oneLine } from '../model/topics';
import { text } from '../text';
import { Mark } from './areas';
import { readingFits, topicFits } from './find';

const filter = signal('');
const rows = 200;

/** The newest messages of the broker. */
export function Topics() {
  const t = text.live_topics;
  const fits = chooser(filter.value);
  const also = topicFits.value;
  const list = store.topicRing.value.filter((m) => fits(m.topic) && (!also || also(m.topic)));
  const perSecond = store.figures.of('messages_s').value;
  return (
    <section class="panel" aria-labelledby="h-t" id="topics">
      <div class="ph"><h2 id="h-t">{t.title}</h2><span class="sub">{store.paused.value ? t.paused : perSecond === undefined ? '' : t.sub(count(perSecond))}</span><span class="sp" />
        <button class="lnk" data-testid="topics-pause" aria-pressed={store.paused.value} onClick={() => (store.paused.value = !store.paused.value)}>{store.paused.value ? t.resume : t.pause}</button></div>
      <div class="topics">
        <div class="f"><input class="in mono" data-testid="topics-filter" aria-label={t.filter} placeholder={t.example} value={filter.value} autocomplete="off" spellcheck={false} onInput={(e) => (filter.value = e.currentTarget.value)} /></div>
        <div class="scroll" tabIndex={0} role="region" aria-label={t.label}>
          <table>
            <colgroup><col class="c1" /><col class="c2" /><col /><col class="c4" /></colgroup>
            <thead class="vh"><tr>{t.columns.map((c) => <th key={c} scope="col">{c}</th>)}</tr></thead>
            <tbody data-testid="topics">{list.map((m) => <Row key={keyOfTopic(m)} m={m} />)}</tbody>
          </table>
          {list.length === 0 && <p class="none">{store.topicRing.value.length ? t.noMatch : t.none}</p>}
        </div>
      </div>
    </section>
  );
}

// One key per message: the ring holds immutable objects.
const keys = new WeakMap<TopicValue, number>();
let nextKey = 0;
function keyOfTopic(m: TopicValue): number {
  let k = keys.get(m);
  if (k === undefined) keys.set(m, (k = ++nextKey));
  return k;
}

function Row({ m }: { m: TopicValue }) {
  const payload = oneLine(m.payload);
  return (
    <tr><td class="mono">{m.ts ? clock(m.ts).slice(3) : '–'}</td><td class="mono" title={m.topic}>{m.topic}</td><td class="mono p" title={payload}>{payload}</td>
      <td>{m.retained && <span class="fl">{text.live_topics.kept}</span>}<span class="fl">q{m.qos}</span></td></tr>
  );
}

/** What has happened since the page was opened, and in the hour before. */
export function Activity() {
  return (
    <section class="panel" aria-labelledby="h-l" id="activity">
      <div class="ph"><h2 id="h-l">{text.log.title}</h2></div>
      {store.log.value.length === 0 ? <p class="none">{text.log.none}</p> : (
        <div class="scroll log-box" tabIndex={0} role="region" aria-label={text.log.label}>
          <ul class="log" data-testid="log">{store.log.value.map((l) => <li key={l.key}><time dateTime={new Date(l.at).toISOString()}>{clock(l.at)}</time><span>{l.text}</span></li>)}</ul>
        </div>
      )}
    </section>
  );
}

/** Newest values of all sensors. */
export function Sensors() {
  const t = text.sensor;
  store.tick.value; // a table of hundreds of values is drawn once a second
  const all = store.readingAreas.value.flatMap((a) => [...store.readings.of(a).peek().values()]);
  const fit = all.filter(readingFits).sort((a, b) => a.area.localeCompare(b.area) || a.device.localeCompare(b.device) || a.metric.localeCompare(b.metric));
  return (
    <section class="panel" aria-labelledby="h-s" id="sensors">
      <div class="ph"><h2 id="h-s">{t.title}</h2>{all.length > 0 && <span class="sub">{t.sub(all.length, new Set(all.map((r) => r.device)).size)}</span>}</div>
      {fit.length === 0 ? <p class="none">{all.length ? text.noneFound : t.none}</p> : (
        <div class="scroll pad" tabIndex={0} role="region" aria-label={t.label}>
          <table class="data sensors">
            <thead><tr>{t.columns.map((c) => <th key={c} scope="col">{c}</th>)}</tr></thead>
            <tbody data-testid="sensors">{fit.slice(0, rows).map((r) => <SensorRow key={keyOf(r)} r={r} />)}</tbody>
          </table>
          {fit.length > rows && <p class="none">{t.more(fit.length - rows)}</p>}
        </div>
      )}
    </section>
  );
}

function SensorRow({ r }: { r: Reading }) {
  const strange = store.devices.of(r.device).peek()?.attributes?.['not_understood'];
  const nothing = r.quality === 'bad' && r.value === null;
  return (
    <tr>
      <td>{r.area === store.unassigned ? text.sensor.unassigned : store.names.area(r.area)}</td><td title={r.topic}>{r.device}{r.channel ? ` · ${r.channel}` : ''} {strange && <span class="mark bad" data-testid={`strange-${r.device}`} title={text.sensor.strange(strange)}>{text.sensor.strangeMark}</span>}</td><td>{metricName(r.metric)}</td>
      <td class="v">{nothing ? '–' : value(r.value)} {r.quality === 'bad' ? '' : r.unit} <Mark quality={r.quality} /></td><td>{r.quality === 'stale' || !r.ts ? '–' : age(store.tick.peek() - r.ts)}</td>
    </tr>
  );
}
