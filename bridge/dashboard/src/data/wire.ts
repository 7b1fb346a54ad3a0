// The shapes of the hub, as it writes them (DESIGN.md §3.6).

export type OrderState =
  | 'accepted' | 'waiting' | 'offered' | 'assigned' | 'playing'
  | 'played' | 'expired' | 'cancelled' | 'failed';

export type Priority = 'background' | 'normal' | 'high' | 'emergency';

export interface Location {
  id: string;
  name: string;
  device: string | null;
}

export interface Queued {
  order: string;
  device: string | null;
  state: OrderState;
  estimated_start: string | null;
}

export interface Busy {
  state: 'idle' | 'held' | 'settling';
  holder: string | null;
  work: string | null;
  lease_ms: number;
  queue: string[];
  queued: number;
  intruders: string[];
  term: number;
  rev: number;
}

export interface Area {
  id: string;
  name: string;
  source: string;
  mode: string;
  topology: string;
  lease_ms: number;
  policy: string;
  volume: number;
  quiet_hours: string[];
  locations: Location[];
  members: string[];
  busy: Partial<Busy> | null;
  queue: Queued[];
  leader: Lead | null;
  peers: Peering | null;
  seq: number;
}

/** Who arbitrates an area. */
export interface Lead {
  mode: 'hub' | 'local';
  host: string;
  addr: string;
  web: string;
  term: number;
  since: string | null;
  live: boolean;
  owes: number;
  split: Split | null;
  alone: string | null;
}

export interface Split {
  at: string;
  over: string | null;
  leader: string;
  term: number;
  own: number;
}

/** How the devices stand that may lead an area. */
export interface Peering {
  rev: number;
  members: PeerMember[];
}

export interface PeerMember {
  device: string;
  index: number;
  priority: number;
  addr: string;
  told: boolean;
  rev: number;
  leads: boolean;
  follows: '' | 'hub' | 'via' | 'leader';
  who: string;
  hub: boolean;
  carried: number;
}

export interface Reading {
  device: string;
  area: string;
  metric: string;
  channel: string | null;
  value: number | boolean | string | null;
  unit: string | null;
  quality: 'good' | 'bad' | 'stale';
  ts: number;
  topic: string;
}

export interface Device {
  id: string;
  name: string;
  kind: 'player' | 'sensor';
  via: 'mqtt' | 'signalr' | 'classic' | 'dumb';
  area: string;
  location: string | null;
  presence: 'online' | 'offline' | 'asleep' | 'unknown';
  reason: string | null;
  state: 'idle' | 'waiting' | 'playing' | null;
  last_seen: string | null;
  node: string;
  volume: number | null;
  muted: boolean;
  attributes: Record<string, string> | null;
  readings: Reading[];
  seq: number;
}

export interface Target {
  area?: string;
  location?: string;
  device?: string;
}

export interface OrderStep {
  state: OrderState;
  at: string;
  device: string | null;
  reason: string | null;
}

export interface Order {
  id: string;
  to: Target;
  area: string;
  kind: string;
  message: string | null;
  clip: string | null;
  chime: string;
  priority: Priority;
  state: OrderState;
  reason: string | null;
  attempt: number;
  device: string | null;
  duration_ms: number;
  created_at: string;
  not_before: string | null;
  estimated_start: string | null;
  after: string | null;
  started_at: string | null;
  ended_at: string | null;
  expires_at: string;
  schedule: string | null;
  history: OrderStep[];
}

export interface Accepted {
  id: string;
  state: OrderState;
  estimated_start: string | null;
  after: string | null;
  duration_ms?: number;
}

export interface OrderRequest {
  to: Target;
  message: string;
  chime: string;
  priority: Priority;
}

export interface Delta {
  area?: string;
  device?: string;
  seq: number;
  set?: Record<string, unknown>;
  removed?: boolean;
}

export interface TopicValue {
  topic: string;
  payload: unknown;
  retained: boolean;
  qos: number;
  ts: number;
}

export interface Metric {
  name: string;
  value: number | null;
  timestamp: string | number;
}

/** What an operator has to know, as the hub words it. */
/** Something that happened at a sensor and does not last. */
export interface Happened {
  device: string;
  area: string;
  event: string;
  channel: string | null;
  value: number | boolean | string;
  ts: number;
  topic: string;
}

export interface Alert {
  level: 'info' | 'warning' | 'error';
  message: string;
}

export interface Series {
  device: string;
  metric: string;
  channel: string | null;
  unit: string | null;
  points: [number, number][];
}

/** One process of the hub. */
export interface HubNode {
  node: string;
  self: boolean;
  kind: 'hub' | 'view';
  state: 'starting' | 'ready' | 'degraded' | 'draining' | 'failed' | 'silent' | 'gone' | 'left';
  version: string;
  started_at: string;
  http: string | null;
  connections: { web: number; mqtt: number };
  areas: string[];
  messages_s: number;
  starts: number;
  lag_ms: number | null;
  gone_at: string | null;
}

export interface Readiness {
  status: string;
  parts: Record<string, { ok: boolean; mode?: string; detail?: string }>;
}

export interface Page<T> {
  items: T[];
  next: string | null;
}
