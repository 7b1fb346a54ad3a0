// What stands around the page: rail, head, banner, notes.

import { useEffect, useRef, useState } from 'preact/hooks';
import * as store from '../data/store';
import { age, clock } from '../format';
import { text } from '../text';
import { toasts } from './actions';
import { found } from './find';
import { Brand, Icon } from './icon';
import { SignedIn } from './signin';
import { theme, turn } from './theme';

const places = [
  { id: 'overview', icon: 'grid', label: text.overview },
  { id: 'announce', icon: 'mic', label: text.announce },
  { id: 'waiting', icon: 'wait', label: text.waiting },
  { id: 'sensors', icon: 'sensor', label: text.sensors },
  { id: 'topics', icon: 'topic', label: text.topics },
  { id: 'activity', icon: 'log', label: text.activity },
] as const;

function useHash(): string {
  const [hash, set] = useState(location.hash.slice(1) || 'overview');
  useEffect(() => {
    const take = (): void => set(location.hash.slice(1) || 'overview');
    addEventListener('hashchange', take);
    return () => removeEventListener('hashchange', take);
  }, []);
  return hash;
}

function numberOf(id: string): number | null {
  if (id === 'waiting') return store.waiting.value.length;
  if (id === 'sensors') return store.sensorCount.value;
  return null;
}

export function Rail() {
  const here = useHash();
  return (
    <nav class="rail" aria-label={text.main}>
      <div class="brand"><Brand /><div><b>{text.product}</b><small>{location.host}</small></div></div>
      {places.map((p) => {
        const n = numberOf(p.id);
        return (
          <a key={p.id} href={`#${p.id}`} title={p.label} {...(here === p.id ? { 'aria-current': 'location' as const } : {})}>
            <Icon name={p.icon} /><span>{p.label}</span>{n ? <span class="n">{n}</span> : null}
          </a>
        );
      })}
      <div class="foot">{text.keysHint[0]} <kbd>?</kbd> {text.keysHint[1]}</div>
    </nav>
  );
}

export function BottomNav() {
  const here = useHash();
  const shown = ['overview', 'waiting', 'announce', 'topics', 'activity'].map((id) => places.find((p) => p.id === id)!);
  return (
    <nav class="bn" aria-label={`${text.main}, ${text.product}`}>
      {shown.map((p) => (
        <a key={p.id} href={`#${p.id}`} class={p.id === 'announce' ? 'mic' : ''} {...(here === p.id ? { 'aria-current': 'location' as const } : {})}>
          <Icon name={p.icon} />{p.label}
        </a>
      ))}
    </nav>
  );
}

export function Top() {
  return (
    <header class="top">
      <h1>{text.product} <span class="hide-s">/ {text.overview.toLowerCase()}</span></h1>
      <Find />
      <span class="sp" />
      <LivePill />
      <Clock />
      <SignedIn />
      <button class="icon" data-testid="theme" aria-label={text.theme[theme.value]} title={text.theme[theme.value]} onClick={turn}><Icon name="theme" /></button>
    </header>
  );
}

function Find() {
  const box = useRef<HTMLInputElement>(null);
  const n = found.value;
  return (
    <div class="search" role="search">
      <input ref={box} id="find" data-testid="find" type="search" aria-label={text.find} placeholder={text.find} value={store.find.value} autocomplete="off" spellcheck={false}
        onInput={(e) => (store.find.value = e.currentTarget.value)}
        onKeyDown={(e) => {
          if (e.key !== 'Escape') return;
          store.find.value = '';
          box.current?.blur();
        }} />
      <kbd aria-hidden="true">/</kbd>
      <span class="vh" role="status">{n ? text.found(n.areas, n.sensors, n.topics) : ''}</span>
    </div>
  );
}

function LivePill() {
  const link = store.link.value;
  const words = link === 'live' ? text.live(store.roundTrip.value) : link === 'connecting' ? text.connecting : text.reconnecting;
  return (
    <span class="pill" data-testid="live" data-state={link} role="status" aria-label={link === 'live' ? text.live(null) : words}>
      <span class={`dot ${link === 'live' ? (store.stale.value ? 'w' : '') : 'b'}`} />{words}
    </span>
  );
}

function Clock() {
  return <span class="pill h" title={text.zone(Intl.DateTimeFormat().resolvedOptions().timeZone)}>{clock(store.tick.value)}</span>;
}

/** Tells how old the data is once it is not fresh. */
export function Banner() {
  if (!store.stale.value) return null;
  store.tick.value;
  const last = store.lastHeard.value;
  return (
    <div class="banner" role="alert" data-testid="stale">
      <span class="dot w" />
      <b aria-live="off">{last ? text.old(age(Date.now() - last)) : text.noData}</b> {text.oldWhy[store.link.value]}
    </div>
  );
}

export function Toasts() {
  return (
    <div class="toasts" role="status" data-testid="toasts">
      {toasts.value.map((t) => <div class="toast" key={t.id}>{t.text}</div>)}
    </div>
  );
}
