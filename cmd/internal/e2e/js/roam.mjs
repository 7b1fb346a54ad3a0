// A SignalR client that is a member of group g and insists on hearing each Push of it
// once and in order, wherever it is connected.
//   node roam.mjs HUB-URL TRANSPORT [stateful]
// TRANSPORT is WebSockets, ServerSentEvents or LongPolling. It prints {"state":…,
// "connection":…} when it is connected, {"state":"back",…} with what JoinGroup answered
// when it is so again, "warm" for each event Warm, and ends, after a last Push of "end", with code 1 when something
// was not as it should be.
import assert from 'node:assert/strict';
import { HttpTransportType, HubConnectionBuilder, LogLevel } from '@microsoft/signalr';

const [, , url, transport, stateful] = process.argv;
const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const soon = { nextRetryDelayInMilliseconds: ({ elapsedMilliseconds }) => (elapsedMilliseconds < 60_000 ? 100 : null) };
const builder = new HubConnectionBuilder().withUrl(url, { transport: HttpTransportType[transport] }).withAutomaticReconnect(soon).configureLogging(LogLevel.None);
if (stateful) builder.withStatefulReconnect();
const connection = builder.build();

let at; // the group's position when it was joined last
let next = 0;
let since = 0; // heard since then
const fail = (error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
};
const done = new Promise((resolve) => {
  connection.on('Push', (n) => {
    since += 1;
    if (n === 'end') {
      resolve();
      return;
    }
    if (n !== next) fail(new Error(`heard ${n}, not ${next}`));
    next += 1;
    tell({ heard: n });
  });
});
connection.onreconnected(async () => {
  try {
    const from = { epoch: at.epoch, offset: at.offset + since };
    since = 0;
    const answer = await connection.invoke('JoinGroup', 'g', from);
    at = { epoch: answer.epoch, offset: answer.offset };
    since = 0; // what was replayed came before the answer
    tell({ state: 'back', connection: connection.connectionId, ...answer });
  } catch (error) {
    fail(error);
  }
});
connection.on('Warm', () => {
  since += 1;
  tell({ state: 'warm' });
});
connection.on('PositionChanged', ({ epoch, offset }) => {
  at = { epoch, offset };
  since = 0;
});
connection.on('ConnectionAcknowledged', () => {});
try {
  await connection.start();
  at = await connection.invoke('JoinGroup', 'g');
  for (let i = 0; i < 30; i += 1) assert.equal(await connection.invoke('Echo', i), i);
  const big = 'x'.repeat(20_000);
  assert.equal(await connection.invoke('Echo', big), big);
  tell({ state: 'connected', connection: connection.connectionId });
  await done;
  await connection.stop();
  tell({ state: 'stopped' });
} catch (error) {
  fail(error);
}
