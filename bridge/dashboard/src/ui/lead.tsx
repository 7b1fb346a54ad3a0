// Who leads an area: the hub, or one of the area's own devices.

import type { Area, Lead, PeerMember, Peering, Split } from '../data/wire';
import * as store from '../data/store';
import { at, clock } from '../format';
import { text } from '../text';
import { dialog } from './actions';
import { Window } from './window';

const t = text.lead;

const name = (l: Lead): string => (l.mode === 'local' ? store.names.device(l.host) : l.host);
const parted = (l: Lead): boolean => l.split !== null && l.split.over === null;

/** What a card says of it: nothing where the hub alone ever leads. */
export function LeadButton({ area }: { area: Area }) {
  const l = area.leader;
  if (!l || (l.mode !== 'local' && !area.peers?.members.length && !l.split && !l.alone)) return null;
  const words = l.alone ? t.perNode : parted(l) ? t.split : l.mode !== 'local' ? t.byHub : l.live ? t.by(name(l)) : t.silent(name(l));
  return (
    <button class={`lead ${l.alone || parted(l) || !l.live ? 'w' : ''}`} data-testid={`lead-${area.id}`} aria-haspopup="dialog" aria-label={t.label(words, area.name)} title={words}
      onClick={() => (dialog.value = { kind: 'lead', area: area.id })}>{words}</button>
  );
}

/** The whole of it, in a window. */
export function LeadWindow({ area: id }: { area: string }) {
  const a = store.areas.of(id).value;
  const l = a?.leader;
  if (!a || !l) return null;
  const since = at(l.since);
  const lines: [string, string | null][] = [
    [t.leader, l.mode === 'local' ? t.device(name(l)) : t.hub(l.host)], [t.state, l.live ? t.live : t.notHeard], [t.address, l.addr || null], [t.web, l.web || null],
    [t.term, String(l.term)], [t.since, since === null ? null : clock(since)], [t.mode, t.modes(a.topology, a.mode)],
    [t.owes, l.mode === 'local' ? t.owed(l.owes) : null],
  ];
  return (
    <Window title={t.title(a.name)} label={text.keys.close} wide>
      <div data-testid="lead-window">
        {l.alone && <p class="parted now" data-testid="lead-alone">{t.alone(clock(at(l.alone) ?? 0), l.host)}</p>}
        {l.split && <Parted split={l.split} />}
        <dl class="facts">{lines.map(([k, v]) => v && <div key={k}><dt>{k}</dt><dd>{v}</dd></div>)}</dl>
        {a.peers && a.peers.members.length > 0 && <Members peers={a.peers} />}
      </div>
    </Window>
  );
}

function Parted({ split: s }: { split: Split }) {
  const over = at(s.over);
  const words = t.parted(clock(at(s.at) ?? 0), store.names.device(s.leader), s.term, s.own, over === null ? null : clock(over));
  return <p class={over === null ? 'parted now' : 'parted'} data-testid="lead-split">{words}</p>;
}

function Members({ peers }: { peers: Peering }) {
  return (
    <>
      <h3>{t.members}</h3>
      <div class="scroll pad" tabIndex={0} role="region" aria-label={t.members}>
        <table class="data peers">
          <thead><tr>{t.columns.map((c) => <th key={c} scope="col">{c}</th>)}</tr></thead>
          <tbody>{peers.members.map((m) => (
            <tr key={m.device} class={m.leads ? 'live' : ''} data-testid={`peer-${m.device}`}>
              <td class="v" title={m.device}>{store.names.device(m.device)}</td><td>{m.told ? (m.leads ? t.leads : t.member) : text.area.unknown}</td>
              <td title={uplink(m)}>{m.told ? uplink(m) : '–'}</td><td>{m.told ? (m.rev === peers.rev ? t.newest : t.rev(m.rev)) : '–'}</td>
            </tr>
          ))}</tbody>
        </table>
      </div>
    </>
  );
}

function uplink(m: PeerMember): string {
  const who = m.who ? store.names.device(m.who) : '';
  if (m.follows === 'via') return t.via(who);
  if (m.follows === 'leader') return m.leads ? t.itself(m.hub) : t.atLeader(who, m.hub);
  return m.follows === 'hub' ? t.atHub(m.carried) : t.nowhere;
}
