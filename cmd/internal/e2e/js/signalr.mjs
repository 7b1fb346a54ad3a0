// A SignalR client that goes through one scenario and ends with code 1 when
// something is not as it should be.
//   transports URL TRANSPORT   calls, errors, groups, order, headers, the end
//   stateful URL               events while somebody cuts the connection
//   reconnect URL TRANSPORT    the same without stateful reconnect
// TRANSPORT is WebSockets, ServerSentEvents or LongPolling. It prints
// {"state":…} for who drives it.
import assert from 'node:assert/strict';
import { HttpTransportType, HubConnectionBuilder, LogLevel } from '@microsoft/signalr';

const [, , scenario, url, transport = 'WebSockets', protocol = 'json'] = process.argv;
const tell = (state) => process.stdout.write(`${JSON.stringify({ state })}\n`);
const options = { transport: HttpTransportType[transport], headers: { 'X-Test': 'yes', Cookie: 'a=b; c=d' }, accessTokenFactory: () => 'secret' };
const builder = new HubConnectionBuilder().withUrl(`${url}?attr=gate`, options).configureLogging(LogLevel.Error);
if (protocol === 'messagepack') {
  const { MessagePackHubProtocol } = await import('@microsoft/signalr-protocol-msgpack');
  builder.withHubProtocol(new MessagePackHubProtocol());
}
const until = async (what, done) => {
  for (let waited = 0; !done(); waited += 10) {
    assert.ok(waited < 60_000, `${what} did not happen`);
    await new Promise((resume) => setTimeout(resume, 10));
  }
};
const rejects = (call, text) => assert.rejects(call, (error) => { assert.equal(error.message, text); return true; });

/** pushes collects what comes and insists on 0, 1, 2 … */
const pushes = (connection) => {
  const got = [];
  connection.on('push', (n) => {
    assert.equal(n, got.length, 'events come once and in order');
    got.push(n);
    if (got.length % 250 === 0) tell(`got ${got.length}`);
  });
  return got;
};

const scenarios = {
  async transports() {
    const connection = builder.build();
    const got = pushes(connection);
    await connection.start();
    tell('connected');
    assert.equal(await connection.invoke('Transport'), transport);
    assert.equal(await connection.invoke('echo', 'grüße \u2028 \u001e'), 'grüße \u2028 \u001e');
    assert.deepEqual(await connection.invoke('Opening'), { query: 'gate', header: 'yes', cookie: 'd', user: 'secret' });
    await rejects(connection.invoke('Fail'), "An unexpected error occurred invoking 'Fail' on the server. HubException: taken");
    await rejects(connection.invoke('Nope'), "Unknown hub method 'Nope'");
    await connection.invoke('Join', 'g');
    await connection.invoke('Burst', 'g', 0, 2000);
    await until('the last event', () => got.length === 2000);
    await Promise.all(Array.from({ length: 50 }, async (_, i) => assert.equal(await connection.invoke('Echo', i), i)));
    const big = 'x'.repeat(20_000);
    assert.equal(await connection.invoke('Echo', big), big);
    await connection.stop();
    tell('stopped');
  },

  async stateful() {
    const connection = builder.withStatefulReconnect().build();
    const got = pushes(connection);
    let lost = 0;
    connection.onclose(() => { lost += 1; });
    await connection.start();
    const id = connection.connectionId;
    await connection.invoke('Join', 'g');
    tell('connected');
    for (let i = 0; i < 300; i += 1) assert.equal(await connection.invoke('Echo', i), i);
    await until('the last event', () => got.length === 3000);
    assert.equal(connection.connectionId, id);
    assert.equal(lost, 0);
    await connection.stop();
    tell('stopped');
  },

  async reconnect() {
    const connection = builder.withAutomaticReconnect([0, 50, 100, 200, 500, 1000]).build();
    const seen = [];
    connection.onreconnecting(() => { seen.push('reconnecting'); tell('reconnecting'); });
    connection.onreconnected(() => seen.push('reconnected'));
    await connection.start();
    tell('connected');
    await until('the reconnection', () => seen.includes('reconnected'));
    assert.equal(await connection.invoke('Echo', 1), 1);
    await connection.stop();
    tell('stopped');
  },
};

try {
  await scenarios[scenario]();
} catch (error) {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
}
