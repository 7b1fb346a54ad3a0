// Every text that people read, in one place.

import type { Device, Order, OrderState, Priority } from './data/wire';

const plural = (n: number, one: string, many: string): string => (n === 1 ? one : many);

const presence: Record<Device['presence'], string> = { online: 'online', offline: 'offline', asleep: 'asleep', unknown: 'not known' };
const reasons: Record<string, string> = {
  connected: 'connected', goodbye: 'said goodbye', will: 'connection lost', timeout: 'timed out', taken_over: 'taken over', asleep: 'asleep',
};
const via: Record<Device['via'], string> = { mqtt: 'MQTT', signalr: 'SignalR', classic: 'classic SignalR', dumb: 'busy flag alone' };
const states: Record<OrderState, string> = {
  accepted: 'Accepted', waiting: 'Waiting', offered: 'Offered', assigned: 'Assigned', playing: 'Speaking',
  played: 'Played', expired: 'Expired', cancelled: 'Cancelled', failed: 'Failed',
};
const priorities: Record<Priority, string> = { background: 'Background', normal: 'Normal', high: 'High', emergency: 'Emergency' };
const ends: Record<string, string> = {
  user: 'taken back', stop: 'stopped', busy: 'the area was busy', quiet_hours: 'quiet hours', no_device: 'no device was there',
  device_error: 'the device reported a fault', clip_missing: 'the clip is missing', clip_hash: 'the clip is damaged',
  preempted: 'something more urgent came', cut: 'cut off', lost_contact: 'contact was lost',
};
const parts: Record<string, string> = { broker: 'MQTT broker', store: 'Store', backplane: 'Backplane' };
const chimes: Record<string, string> = { none: 'None', 'two-tone': 'Two-tone', 'three-tone': 'Three-tone', gong: 'Gong' };

export const text = {
  product: 'Tacet',
  skip: 'Skip to content',
  main: 'Main',
  overview: 'Overview',
  announce: 'Announce',
  waiting: 'Waiting',
  sensors: 'Sensors',
  topics: 'Topics',
  activity: 'Activity',
  keysHint: ['Press', 'for keys'] as const,

  find: 'Find a gate, area, sensor or topic',
  found: (areas: number, sensors: number, topics: number) =>
    `${areas} ${plural(areas, 'area', 'areas')}, ${sensors} ${plural(sensors, 'sensor', 'sensors')}, ${topics} ${plural(topics, 'topic', 'topics')} found`,
  live: (ms: number | null) => (ms === null ? 'Live' : `Live, ${ms} ms`),
  connecting: 'Connecting',
  reconnecting: 'Reconnecting',
  old: (age: string) => `What you see is ${age} old.`,
  oldWhy: { connecting: 'The hub does not answer; trying again.', reconnecting: 'The connection to the hub was lost; trying again.', live: 'The hub has not answered for a while.' },
  noData: 'No data yet.',
  zone: (zone: string) => `Times in ${zone}`,
  theme: { auto: 'Colours: as the system', light: 'Colours: light', dark: 'Colours: dark' },

  sign: { name: 'Name', password: 'Password', in: 'Sign in', out: 'Sign out', wrong: 'Name or password is wrong.' },

  glance: 'At a glance',
  numbers: {
    overlaps: 'Overlaps, last 24 h', overlapsNone: 'one voice per area', overlapsSome: 'see Activity',
    speaking: 'Speaking now', inAreas: (n: number) => `in ${n} ${plural(n, 'area', 'areas')}`,
    waiting: 'Waiting', longest: (t: string) => `longest ${t}`,
    online: 'Devices online', of: (n: number) => `of ${n}`,
    sound: 'Order to first sound, p95', ms: 'ms', s: 's',
    messages: 'Messages', perSecond: (dropped: string) => `per s, ${dropped} dropped`,
  },

  timeline: {
    title: 'Who speaks when', sub: 'one lane per area: two bars in a lane can never overlap',
    span: 'Time span', spans: { '5m': '5 min', '1h': '1 h', '24h': '24 h' },
    table: 'Table', bars: 'Timeline', caption: 'Announcements of all areas in the chosen time span, newest first',
    columns: ['Start', 'Area', 'Device', 'Message', 'Length', 'Priority', 'State'],
    speakers: (n: number, on: number) => (n === 0 ? 'no device' : on === n ? `${n} ${plural(n, 'device', 'devices')}` : `${on} of ${n} devices online`),
    more: (n: number) => `${n} announcements`, none: 'Nothing in this time span.',
    legend: 'Legend', speaking: 'Speaking', planned: 'Waiting, estimated', cut: 'Cut off', now: 'Now',
    bar: (where: string, what: string, when: string, length: string, state: string) => `${where}: ${what}, ${when}, ${length}, ${state}`,
    estimated: (t: string) => `about ${t}`,
  },

  inbox: {
    label: 'New sensors without an area', title: (n: number) => `${n} new on MQTT`, more: (n: number) => `and ${n} more`,
    put: 'Put into…', putLabel: (device: string) => `Put ${device} into an area`,
    done: (device: string, area: string) => `${device} is in ${area}.`, failed: (reason: string) => `Not assigned: ${reason}`,
  },

  areas: 'Areas',
  noAreas: 'No area yet. The first device that names one, or the configuration, makes it.',
  noneFound: 'Nothing here matches what you look for.',
  area: {
    left: (who: string, t: string) => `${who}, ${t}`, leftWord: 'left', speaks: (who: string) => `${who} speaks`,
    settling: 'Settling', quiet: 'Quiet', waits: (n: number) => `${n} waiting`, local: 'Runs locally',
    intruder: (who: string) => `${who} out of turn`,
    last: (who: string, ago: string) => `Last: ${who}, ${ago} ago`, nothing: 'Nothing said yet.',
    own: (who: string) => `${who} speaks on its own account.`,
    settlingText: 'A new arbiter waits until no old right to speak can be alive.',
    progress: 'Announcement progress', progressText: (t: string) => `${t} left`,
    gates: (area: string) => `Gates of ${area}`, offline: 'offline', asleep: 'asleep', unknown: 'presence not known', speaking: 'speaking',
    queued: (n: number) => `${n} waiting`, empty: 'no device',
    more: (n: number) => `+${n}`, moreLabel: (n: number) => `Show ${n} more`, fewer: 'Fewer',
    waiting: 'Waiting', volume: 'Volume', members: 'Members', online: (on: number, n: number) => (on === n ? `${n}` : `${on} of ${n}`),
    stop: 'Stop', stopLabel: (area: string) => `Stop the announcement in ${area}`,
    noSensors: 'No sensor in this area.',
  },
  lead: {
    by: (who: string) => `${who} leads`, silent: (who: string) => `${who} is silent`, byHub: 'The hub leads', split: 'Split', perNode: 'Per node', label: (words: string, area: string) => `${words}: who leads ${area}`,
    title: (area: string) => `Who leads ${area}`, leader: 'Leader', device: (who: string) => `${who}, a device of the area`, hub: (node: string) => `${node}, the hub`,
    state: 'State', live: 'heard', notHeard: 'not heard', address: 'Broker', web: 'Web', term: 'Term', since: 'Since', mode: 'Area',
    modes: (topology: string, mode: string) => `${topology === 'local' ? 'led by its own devices' : 'led by the hub while it can be reached'}, ${mode === 'strict' ? 'strict: silent without a majority' : 'available'}`,
    owes: 'Owes', owed: (n: number) => (n === 0 ? 'nothing: the hub knows all' : `${n} ${plural(n, 'report', 'reports')} or records that the hub has yet to get`),
    parted: (from: string, who: string, term: number, own: number, over: string | null) =>
      `${over === null ? 'Split since' : 'Was split from'} ${from}${over === null ? '' : ` to ${over}`}: the hub took over${own ? ` by term ${own}` : ''}, and ${who}, by term ${term}, may ${over === null ? 'still lead' : 'have led'} on its side.`,
    alone: (from: string, node: string) => `Per node since ${from}: ${node} does not reach the other nodes and grants to its own devices; theirs may sound at the same time, as the area is set to.`,
    members: 'Members', columns: ['Device', 'Role', 'Uplink', 'Roster'], leads: 'leads', member: 'member', newest: 'newest', rev: (n: number) => (n === 0 ? 'none' : `older, ${n}`),
    via: (who: string) => `hub, through ${who}`, atHub: (carried: number) => (carried ? `hub, carried ${carried} for others` : 'hub'),
    atLeader: (who: string, hub: boolean) => `${who}${hub ? '' : ', no hub'}`, itself: (hub: boolean) => (hub ? 'itself, and the hub' : 'itself, no hub'), nowhere: 'none',
  },
  device: {
    title: (d: Device, label: string) =>
      [label === d.id ? d.name : `${label} · ${d.id}`, via[d.via] ?? d.via,
        `${presence[d.presence] ?? d.presence}${d.reason ? ` (${reasons[d.reason] ?? d.reason})` : ''}`, d.state, d.muted ? 'muted' : null]
        .filter(Boolean).join(' · '),
  },

  form: {
    to: 'To', choose: 'Choose area, gate or device', add: 'Add another', pickLabel: 'Add area, gate or device',
    groups: { area: 'Areas', location: 'Gates', device: 'Devices' }, remove: (what: string) => `${what}, remove`,
    message: 'Message', chime: 'Chime', priority: 'Priority',
    mayNot: (who: string) => `${who} may look, and not announce: that takes the role announcer in an area.`,
    whenEmpty: 'Choose where and write a message to see when it would start.',
    now: 'now', about: (t: string) => `about ${t}`, runs: (t: string) => `Runs ${t}.`,
    when: (where: string, after: string | null) => ` in ${where}${after ? `, after ${after}` : ''}. `, starts: 'Starts ', inTime: 'in ',
    noStart: (where: string) => `No device is there in ${where}; it waits for one. `,
    waitQuiet: (where: string) => `${where} has quiet hours; it waits until they end. `,
    send: 'Announce', sending: 'Sending…',
    needTo: 'Choose at least one area, gate or device.', needMessage: 'Write what is to be said.',
    unreachable: 'The hub cannot be reached. Nothing was lost: try again.',
    results: 'Your announcements', result: (where: string, state: string) => `${where}: ${state}`,
  },
  chimes,
  priorities,
  states,
  state: (o: Order) => `${states[o.state]}${o.reason ? `, ${ends[o.reason] ?? o.reason}` : ''}`,
  attempt: (n: number) => `attempt ${n}`,

  queue: {
    sub: (n: number, areas: number) => `${n} in ${areas} ${plural(areas, 'area', 'areas')}`, none: 'Nobody waits.',
    after: (area: string, who: string) => `${area}, after ${who}`, at: (area: string, t: string) => `${area}, at ${t}`,
    soon: 'next', noEstimate: 'no device', cancel: (what: string) => `Cancel “${what}”`, cancelled: 'Cancelled.', starts: 'Starts in',
    more: (n: number) => `and ${n} more`,
  },

  health: {
    title: 'Health', fine: 'all well', warnings: (n: number) => `${n} ${plural(n, 'warning', 'warnings')}`,
    ok: 'works', away: 'away', part: (name: string) => parts[name] ?? name.charAt(0).toUpperCase() + name.slice(1),
    page: 'This page', pageHow: 'live connection to the hub', devices: 'Devices', offline: (n: number) => (n === 0 ? 'no speaker is missing' : `${n} ${plural(n, 'speaker', 'speakers')} offline`), online: (n: number) => `${n} online`,
    nodes: 'Nodes', dead: (nodes: string) => `${nodes} missing`,
    hub: 'Hub', noAnswer: 'no answer', unknown: 'not known yet', warning: 'Warning',
    statuses: { ready: 'ready', degraded: 'degraded', starting: 'starting', draining: 'going down', failed: 'failed' } as Record<string, string>,
  },

  nodes: {
    title: 'Nodes', sub: (alive: number, all: number) => (alive === all ? `${all} are one hub` : `${alive} of ${all} alive`), self: '(this one)',
    states: { starting: 'starting', ready: 'ready', degraded: 'degraded', draining: 'going down', failed: 'failed', silent: 'no answer', gone: 'died', left: 'ended' },
    lag: (ms: number) => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`, since: (ago: string) => `${ago} ago`, view: 'serves this page alone', noArea: 'no area',
    connected: (web: number, mqtt: number) => `${web} web, ${mqtt} MQTT`, starts: (n: number) => `start ${n}`,
  },

  live_topics: {
    title: 'Live topics', sub: (perSecond: string) => `${perSecond} per s, at most 20 shown`, pause: 'Pause', resume: 'Go on', paused: 'paused',
    filter: 'Topic filter', example: 'words, or filters such as tacet/area/+/busy', columns: ['Time', 'Topic', 'Payload', 'Flags'],
    kept: 'kept', none: 'No message yet.', noMatch: 'No message matches.', label: 'Newest messages',
  },
  sensor: {
    title: 'Sensors', sub: (n: number, devices: number) => `${n} ${plural(n, 'value', 'values')} of ${devices} ${plural(devices, 'sensor', 'sensors')}`,
    columns: ['Area', 'Sensor', 'Metric', 'Value', 'Age'], none: 'No sensor yet.', unassigned: 'no area',
    stale: 'kept value, time of measuring not known', bad: 'bad value', staleMark: 'kept', badMark: 'bad', ago: (t: string) => `${t} ago`, label: 'Newest values',
    more: (n: number) => `and ${n} more; find one above`,
    strangeMark: 'raw', strange: (what: string) => `A template of this sensor is not understood, and its raw value is shown. ${what}`,
  },
  log: {
    title: 'What happened', none: 'Nothing yet.', label: 'Newest events',
    spoke: (who: string, area: string, wait: string | null) => `${who} took the floor in ${area}${wait ? ` after ${wait}` : ''}`,
    cut: (what: string, area: string) => `“${what}” was cut off in ${area}; it will be said again`,
    preempted: (what: string, area: string) => `“${what}” made way for something more urgent in ${area}; it will be said again`,
    ended: (what: string, area: string, why: string) => `“${what}” in ${area}: ${why}`,
    offline: (who: string, why: string | null) => `${who} went offline${why ? ` (${reasons[why] ?? why})` : ''}`,
    online: (who: string) => `${who} is online`, asleep: (who: string) => `${who} sleeps`,
    alert: (level: string, message: string) => `${level === 'error' ? 'Fault: ' : level === 'warning' ? 'Attention: ' : ''}${message}`,
    nodeDied: (node: string) => `Node ${node} died`, nodeLeft: (node: string) => `Node ${node} ended`, nodeThere: (node: string) => `Node ${node} is there`,
    intruder: (who: string, area: string) => `${who} sounded out of turn in ${area}`,
    happened: (who: string, channel: string | null, what: string, value: string) => `${who}${channel ? `, ${channel}` : ''}: ${what} ${value}`,
  },

  keys: {
    title: 'Keys', close: 'Close',
    list: [['A', 'Write an announcement'], ['/', 'Find a gate, area, sensor or topic'], ['.', 'Stop who speaks'], ['?', 'This help'], ['Esc', 'Leave a field or close a window']] as const,
  },
  stop: {
    title: 'Stop which area?', all: 'Stop all of them', none: 'Nobody speaks.', done: (area: string) => `Stopped in ${area}.`, failed: (why: string) => `Could not stop: ${why}`,
    cancel: 'Leave them',
  },
  order: {
    title: 'Announcement', close: 'Close', to: 'To', device: 'Device', state: 'State', priority: 'Priority', length: 'Length', created: 'Ordered', history: 'History',
    schedule: 'Schedule', id: 'Id', clip: (hash: string) => `Clip ${hash.replace('sha256:', '').slice(0, 8)}…`, other: (kind: string) => `Work: ${kind}`, together: (n: number) => `${n} announcements close together; this is the first.`,
  },
  error: (detail: string) => detail,
  dismiss: 'Dismiss',
};

/** What an order says, for people. */
export function said(o: Order): string {
  if (o.message) return o.message;
  return o.clip ? text.order.clip(o.clip) : text.order.other(o.kind);
}
