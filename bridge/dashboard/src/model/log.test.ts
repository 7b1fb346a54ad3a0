import { expect, test } from 'vitest';
import type { Device, HubNode, Order } from '../data/wire';
import { merge, most, ofAlert, ofDevice, ofHappened, ofNodes, ofOrder, type Names } from './log';

const names: Names = { device: (id) => (id === 'gate-1' ? 'Gate 1' : String(id)), area: () => 'North Wing' };
const o = {
  id: 'o-1', area: 'north', message: 'Boarding', kind: 'announce', state: 'failed', reason: 'cut', attempt: 2, device: 'gate-1', created_at: '2026-11-21T10:00:00.000Z', not_before: null,
  history: [
    { state: 'accepted', at: '2026-11-21T10:00:00.000Z', device: null, reason: null },
    { state: 'playing', at: '2026-11-21T10:00:06.000Z', device: 'gate-1', reason: null },
    { state: 'waiting', at: '2026-11-21T10:00:08.000Z', device: null, reason: 'preempted' },
    { state: 'failed', at: '2026-11-21T10:00:20.000Z', device: 'gate-1', reason: 'cut' },
  ],
} as unknown as Order;

test('a history becomes sentences', () => {
  expect(ofOrder(o, names).map((l) => l.text)).toEqual([
    'Gate 1 took the floor in North Wing after 6\u00a0s',
    '“Boarding” made way for something more urgent in North Wing; it will be said again',
    '“Boarding” in North Wing: failed, cut off',
  ]);
});

test('the same step is told once, newest first, and the list is bounded', () => {
  const log = merge([], ofOrder(o, names));
  expect(merge(log, ofOrder(o, names))).toBe(log);
  expect(log[0]!.text).toContain('failed');
  const many = Array.from({ length: 300 }, (_, i) => ({ key: `k${i}`, at: i, text: '' }));
  expect(merge(log, many)).toHaveLength(most);
});

test('alerts say how grave they are, and the same one twice is two lines', () => {
  const alert = (level: 'info' | 'warning' | 'error') => ofAlert({ level, message: 'the disk is full' }, 1);
  expect([alert('error'), alert('warning'), alert('info')].map((l) => l.text)).toEqual(['Fault: the disk is full', 'Attention: the disk is full', 'the disk is full']);
  expect(merge(merge([], [alert('error')]), [alert('error')])).toHaveLength(2);
});

test('what happens at a sensor is a line each time', () => {
  const pressed = (channel: string | null) => ofHappened({ device: 'r', area: 'north', event: 'action', channel, value: 'single', ts: 1, topic: 't' }, 1, 'Remote');
  expect([pressed(null), pressed('input:0')].map((l) => l.text)).toEqual(['Remote: action single', 'Remote, input:0: action single']);
  expect(merge(merge([], [pressed(null)]), [pressed(null)])).toHaveLength(2);
});

test('a node that dies is told once, with when it died, and so is that it is there again', () => {
  const node = (state: string, started_at: string, gone_at: string | null = null) => ({ node: 'hub-2', state, started_at, gone_at }) as unknown as HubNode;
  const [up, dead, back] = [node('ready', 't1'), node('gone', 't1', '2026-11-21T10:00:00.000Z'), node('ready', 't2')];
  const said = (was: HubNode[], is: HubNode[]) => ofNodes(was, is, 7).map((l) => `${l.at} ${l.text}`);
  const died = `${Date.parse('2026-11-21T10:00:00.000Z')} Node hub-2 died`;
  expect(said([], [up])).toEqual([]);
  expect(said([up], [dead])).toEqual([died]);
  expect(said([], [dead])).toEqual([died]);
  expect(said([dead], [dead])).toEqual([]);
  expect(said([dead], [back])).toEqual(['7 Node hub-2 is there']);
  expect(ofNodes([], [dead], 7)[0]!.key).toBe(ofNodes([up], [{ ...dead, gone_at: '2026-11-21T10:00:01.000Z' }], 7)[0]!.key);
});

test('a device that comes and goes has the name that its gate sign has', () => {
  const was = { id: 'gate-1', name: 'gate-1', kind: 'player', presence: 'online', seq: 1 } as unknown as Device;
  expect(ofDevice(was, { ...was, presence: 'offline', reason: 'timeout', seq: 2 }, names, 1)?.text).toBe('Gate 1 went offline (timed out)');
});
