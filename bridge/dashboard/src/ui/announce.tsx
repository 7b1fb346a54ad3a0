import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Accepted, Area, Order, OrderRequest, Priority, Target } from '../data/wire';
import * as store from '../data/store';
import { post, Problem } from '../data/rest';
import { who } from '../data/session';
import { at, span } from '../format';
import { ended } from '../model/orders';
import { announces } from '../model/rights';
import { text } from '../text';
import { Wave } from './icon';

const t = text.form;
const dryRunAfter = 400; // ms without a key
const chimes = ['none', 'two-tone', 'three-tone', 'gong'] as const;
const priorities: readonly Priority[] = ['background', 'normal', 'high', 'emergency'];

type Kind = keyof Target;
interface Chosen {
  kind: Kind;
  id: string;
}
interface Estimate {
  to: Chosen;
  answer?: Accepted;
  problem?: string;
}
interface Posted {
  id: string;
  to: Target;
}

const targets = signal<readonly Chosen[]>([]);
const message = signal('');
const chime = signal<string>('two-tone');
const priority = signal<Priority>('normal');
const faults = signal<{ to?: string; message?: string; form?: string }>({});
const estimates = signal<readonly Estimate[]>([]);
const sending = signal(false);
const posted = signal<readonly Posted[]>([]);

// The same key for the same words, until they were taken: a second try after a
// broken connection never speaks twice.
const attempts = new Map<string, string>();

const targetOf = (c: Chosen): Target => ({ [c.kind]: c.id });
const request = (c: Chosen): OrderRequest => ({ to: targetOf(c), message: message.peek().trim(), chime: chime.peek(), priority: priority.peek() });

// Whether who looks may announce in an area, or anywhere.
const may = (area?: string): boolean => !who.value || announces(who.value, area);

export function Announce() {
  const refused = !may();
  return (
    <section class="panel" aria-labelledby="h-an" id="announce">
      <div class="ph"><h2 id="h-an">{text.announce}</h2><span class="sp" /><kbd aria-hidden="true">A</kbd></div>
      <form data-testid="announce-form" noValidate onSubmit={(e) => {
        e.preventDefault();
        void send();
      }}>
        {refused && <p class="when" id="may-not" data-testid="announce-refused">{t.mayNot(who.value?.name ?? '')}</p>}
        <fieldset class="all" disabled={refused} {...(refused ? { 'aria-describedby': 'may-not' } : {})}>
          <To />
          <Message />
          <div><label for="chime">{t.chime}</label>
            <select class="in" id="chime" data-testid="announce-chime" value={chime.value} onChange={(e) => (chime.value = e.currentTarget.value)}>
              {chimes.map((c) => <option key={c} value={c}>{text.chimes[c]}</option>)}
            </select>
          </div>
          <PriorityChoice />
          {!refused && <When />}
          <div class="cta"><button class="btn p" data-testid="announce-send" disabled={sending.value}>{sending.value ? t.sending : t.send}</button></div>
        </fieldset>
        {faults.value.form && <p class="fault" role="alert" data-testid="announce-fault">{faults.value.form}</p>}
        <Results />
      </form>
    </section>
  );
}

function To() {
  const fault = faults.value.to;
  const taken = new Set(targets.value.map((c) => `${c.kind}:${c.id}`));
  return (
    <div>
      <label for="to">{t.to}</label>
      <div class={`target ${fault ? 'wrong' : ''}`}>
        {targets.value.map((c) => {
          const name = store.targetName(targetOf(c));
          return <button key={`${c.kind}:${c.id}`} class="x" type="button" data-testid={`target-${c.kind}-${c.id}`} aria-label={t.remove(name)} onClick={() => drop(c)}>{name} <span aria-hidden="true">×</span></button>;
        })}
        <select id="to" data-testid="announce-to" class="pick" value="" aria-label={t.pickLabel} aria-invalid={fault ? 'true' : 'false'} aria-describedby={fault ? 'to-fault' : undefined} onChange={(e) => add(e.currentTarget)}>
          <option value="">{targets.value.length ? t.add : t.choose}</option>
          <Options taken={taken} />
        </select>
      </div>
      {fault && <p class="fault" id="to-fault" role="alert">{fault}</p>}
    </div>
  );
}

function Options({ taken }: { taken: ReadonlySet<string> }) {
  const areas = (store.areaIds.value ?? []).map((id) => store.areas.of(id).value).filter((a) => a !== undefined && may(a.id)) as Area[];
  const places = areas.flatMap((a) => a.locations.map((l) => ({ key: `location:${l.id}`, label: `${l.name || l.id}, ${a.name}` })));
  const devices = store.deviceIds.value.map((id) => store.devices.of(id).value).filter((d) => d?.kind === 'player' && may(d.area))
    .map((d) => ({ key: `device:${d!.id}`, label: d!.name && d!.name !== d!.id ? `${d!.name} (${d!.id})` : d!.id }));
  const group = (label: string, list: { key: string; label: string }[]) => {
    const left = list.filter((x) => !taken.has(x.key));
    return left.length > 0 && <optgroup label={label}>{left.map((x) => <option key={x.key} value={x.key}>{x.label}</option>)}</optgroup>;
  };
  return <>{group(t.groups.area, areas.map((a) => ({ key: `area:${a.id}`, label: a.name })))}{group(t.groups.location, places)}{group(t.groups.device, devices)}</>;
}

function add(box: HTMLSelectElement): void {
  const [kind, ...rest] = box.value.split(':');
  box.value = '';
  if (!kind || rest.length === 0) return;
  targets.value = [...targets.value, { kind: kind as Kind, id: rest.join(':') }];
  faults.value = {};
}

function drop(c: Chosen): void {
  targets.value = targets.value.filter((x) => x !== c);
  document.getElementById('to')?.focus();
}

function Message() {
  const fault = faults.value.message;
  return (
    <div>
      <label for="msg">{t.message}</label>
      <textarea class={`in ${fault ? 'wrong' : ''}`} id="msg" data-testid="announce-message" maxLength={2000} value={message.value} aria-invalid={fault ? 'true' : 'false'} aria-describedby={fault ? 'msg-fault' : undefined}
        onInput={(e) => {
          message.value = e.currentTarget.value;
          if (faults.value.message) faults.value = {};
        }}
        onKeyDown={(e) => {
          if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) void send();
        }} />
      {fault && <p class="fault" id="msg-fault" role="alert">{fault}</p>}
    </div>
  );
}

function PriorityChoice() {
  return (
    <fieldset>
      <legend class="lab">{t.priority}</legend>
      <div class="pri">
        {priorities.map((p) => (
          <label key={p} class={p === 'emergency' ? 'e' : ''}>
            <input type="radio" name="priority" value={p} data-testid={`priority-${p}`} checked={priority.value === p} onChange={() => (priority.value = p)} /><span>{text.priorities[p]}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

// What the areas of the targets do now; a change asks for the estimate again.
function stamp(): string {
  return targets.value.map((c) => {
    const area = store.areas.of(areaOf(c)).value;
    return `${area?.busy?.state}/${area?.busy?.work}/${area?.queue.length}`;
  }).join();
}

function areaOf(c: Chosen): string {
  if (c.kind === 'area') return c.id;
  if (c.kind === 'device') return store.devices.of(c.id).value?.area ?? '';
  return (store.areaIds.value ?? []).find((id) => store.areas.of(id).value?.locations.some((l) => l.id === c.id)) ?? '';
}

let run = 0;

async function estimate(): Promise<void> {
  const mine = ++run;
  const got = await Promise.all(targets.peek().map(async (to): Promise<Estimate> => {
    try {
      return { to, answer: await post<Accepted>('api/v1/orders?dry_run=true', request(to)) };
    } catch (e) {
      return { to, problem: e instanceof Problem ? e.detail : '' };
    }
  }));
  if (mine === run) estimates.value = got;
}

function When() {
  const ready = targets.value.length > 0 && message.value.trim() !== '';
  const now = stamp();
  useEffect(() => {
    if (!ready) {
      run++;
      estimates.value = [];
      return undefined;
    }
    const timer = setTimeout(() => void estimate(), dryRunAfter);
    return () => clearTimeout(timer);
  }, [ready, targets.value, message.value, chime.value, priority.value, now]);
  const runs = Math.max(0, ...estimates.value.map((e) => e.answer?.duration_ms ?? 0));
  return (
    <div class="when" data-testid="announce-when">
      {!ready || estimates.value.length === 0 ? t.whenEmpty : estimates.value.map((e) => <Start key={`${e.to.kind}:${e.to.id}`} e={e} />)}
      {ready && runs > 0 && t.runs(span(runs))}
    </div>
  );
}

function Start({ e }: { e: Estimate }) {
  const where = store.targetName(targetOf(e.to));
  if (e.problem !== undefined) return <span class="fault">{where}: {e.problem || t.unreachable} </span>;
  const start = at(e.answer?.estimated_start);
  if (start === null) return <>{t.noStart(where)}</>;
  const left = start - store.tick.value;
  const after = e.answer?.after ? store.order(e.answer.after) : undefined;
  const behind = after?.device ? store.names.device(after.device) : null;
  return <>{t.starts}{left < 1500 ? <b>{t.now}</b> : <>{t.inTime}<b>{t.about(span(left))}</b></>}{t.when(where, behind)}</>;
}

async function send(): Promise<void> {
  if (sending.peek()) return;
  const missing = { ...(targets.peek().length ? {} : { to: t.needTo }), ...(message.peek().trim() ? {} : { message: t.needMessage }) };
  faults.value = missing;
  if (Object.keys(missing).length > 0) {
    document.getElementById('to' in missing ? 'to' : 'msg')?.focus();
    return;
  }
  sending.value = true;
  try {
    for (const c of targets.peek()) await sendOne(c);
    message.value = '';
  } catch (e) {
    faults.value = fieldsOf(e);
  } finally {
    sending.value = false;
  }
}

async function sendOne(c: Chosen): Promise<void> {
  const body = request(c);
  const same = JSON.stringify(body);
  const key = attempts.get(same) ?? random();
  attempts.set(same, key);
  try {
    const got = await post<Accepted>('api/v1/orders', body, { 'Idempotency-Key': key });
    posted.value = [{ id: got.id, to: body.to }, ...posted.value].slice(0, 4);
    targets.value = targets.value.filter((x) => x !== c || targets.value.length === 1); // those that are done
    attempts.delete(same);
  } catch (e) {
    if (e instanceof Problem) attempts.delete(same); // the hub has answered
    throw e;
  }
}

function random(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
}

// Each complaint of the hub at the field that it is about.
function fieldsOf(e: unknown): typeof faults.value {
  if (!(e instanceof Problem)) return { form: t.unreachable };
  const to = e.fields.filter((f) => f.field.startsWith('to')).map((f) => f.message);
  const msg = e.fields.filter((f) => f.field === 'message').map((f) => f.message);
  const rest = e.fields.filter((f) => !f.field.startsWith('to') && f.field !== 'message').map((f) => `${f.field}: ${f.message}`);
  if (e.code.startsWith('unknown_') && to.length === 0) to.push(e.detail);
  const form = rest.length ? rest.join(' ') : to.length || msg.length ? '' : e.detail;
  return { ...(to.length ? { to: to.join(' ') } : {}), ...(msg.length ? { message: msg.join(' ') } : {}), ...(form ? { form } : {}) };
}

function Results() {
  const list = posted.value;
  return (
    <div role="status" class={list.length ? '' : 'vh'}>
      {list.length > 0 && <ul class="results" aria-label={t.results} data-testid="announce-results">{list.map((p) => <Result key={p.id} p={p} />)}</ul>}
    </div>
  );
}

function Result({ p }: { p: Posted }) {
  const o: Order | undefined = store.order(p.id);
  const state = o?.state ?? 'accepted';
  return (
    <li data-testid="announce-result" data-order={p.id} data-state={state}>
      <span class={`chip ${state} ${o && ended(o) ? 'ended' : ''}`}>{state === 'playing' && <Wave />}{o ? text.state(o) : text.states.accepted}</span>
      <span class="what">{store.targetName(p.to)}{o?.message ? `: ${o.message}` : ''}</span>
    </li>
  );
}
