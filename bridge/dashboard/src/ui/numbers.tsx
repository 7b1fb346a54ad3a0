import type { ComponentChildren } from 'preact';
import * as store from '../data/store';
import { count, span } from '../format';
import { text } from '../text';
import { Icon } from './icon';

const t = text.numbers;

function Figure({ name, label, children }: { name: string; label: string; children?: ComponentChildren }) {
  const v = store.figures.of(name).value;
  return <Tile name={name} label={label} shown={v === undefined ? '–' : count(v)}>{children}</Tile>;
}

function Tile({ name, label, shown, children }: { name: string; label: string; shown: string; children?: ComponentChildren }) {
  return (
    <div data-testid={`number-${name}`}>
      <span class="k">{label}</span>
      <span class="v">{shown} <small>{children}</small></span>
    </div>
  );
}

// Milliseconds, or seconds where they would be a long number.
function Sound() {
  const name = 'order_to_sound_p95_ms';
  const v = store.figures.of(name).value;
  const long = v !== undefined && v >= 10_000;
  return <Tile name={name} label={t.sound} shown={v === undefined ? '–' : count(long ? v / 1000 : v)}>{long ? t.s : t.ms}</Tile>;
}

/** The six numbers at the head of the page. */
export function Numbers() {
  const overlaps = store.figures.of('overlaps_24h').value;
  const areas = store.areaIds.value?.length ?? 0;
  return (
    <section class="panel kpi" aria-label={text.glance} id="overview">
      <div class={`proof ${overlaps ? 'bad' : ''}`} data-testid="number-overlaps_24h">
        <span class={`ring ${overlaps === undefined ? 'none' : ''}`} aria-hidden="true"><Icon name={overlaps ? 'cross' : 'check'} /></span>
        <span>
          <span class="k">{t.overlaps}</span>
          <span class={`v ${overlaps === undefined ? '' : overlaps ? 'bad' : 'ok'}`}>
            {overlaps === undefined ? '–' : count(overlaps)} <small>{overlaps === undefined ? '' : overlaps ? t.overlapsSome : t.overlapsNone}</small>
          </span>
        </span>
      </div>
      <Figure name="speaking" label={t.speaking}>{areas ? t.inAreas(areas) : ''}</Figure>
      <Figure name="waiting" label={t.waiting}><Longest /></Figure>
      <Figure name="online" label={t.online}><Known /></Figure>
      <Sound />
      <Figure name="messages_s" label={t.messages}>{t.perSecond(dropped())}</Figure>
    </section>
  );
}

function dropped(): string {
  const n = store.figures.of('dropped_s').value;
  return n === undefined ? '–' : count(n);
}

// How long the longest has waited; one that is meant for later does not count.
function Longest() {
  const now = store.tick.value;
  const first = Math.min(...store.waiting.value.filter((w) => !w.order.not_before).map((w) => Date.parse(w.order.created_at)));
  return <>{Number.isFinite(first) ? t.longest(span(now - first)) : ''}</>;
}

function Known() {
  const all = store.deviceIds.value.length;
  return <>{all > 0 ? t.of(all) : ''}</>;
}
