// Calls every method of the test hub, and prints one line for each check:
//   ok NAME        or        not ok NAME: what came instead
// Usage: node dispatch.mjs SITE-URL json|messagepack WebSockets|ServerSentEvents|LongPolling
import assert from 'node:assert/strict';
import { HttpTransportType, HubConnectionBuilder, LogLevel, Subject } from '@microsoft/signalr';

const [site, encoding, transport] = process.argv.slice(2);
const pack = encoding === 'messagepack';
const { MessagePackHubProtocol } = pack ? await import('@microsoft/signalr-protocol-msgpack') : {};

const builder = () => {
  const b = new HubConnectionBuilder().withUrl(`${site}/testHub`, HttpTransportType[transport]).configureLogging(LogLevel.None);
  return pack ? b.withHubProtocol(new MessagePackHubProtocol()) : b;
};
const connection = builder().build();
const failure = (call) => call.then(() => assert.fail('it did not fail'), (e) => e.message);
const once = (event) => new Promise((resolve) => { connection.on(event, (...args) => { connection.off(event); resolve(args); }); });
const items = (stream) => new Promise((resolve, reject) => {
  const got = [];
  stream.subscribe({ next: (item) => got.push(item), error: reject, complete: () => resolve(got) });
});
const fails = (method) => `An unexpected error occurred invoking '${method}' on the server.`;
const until = async (what, good) => {
  for (const end = Date.now() + 60_000; !await good();) {
    assert.ok(Date.now() < end, `still not ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
};

const checks = {
  async results() {
    assert.equal(await connection.invoke('Echo', 'Hällo'), 'Hällo');
    assert.equal(await connection.invoke('echo', null), null);
    assert.equal(await connection.invoke('GetCallerConnectionId'), connection.connectionId);
    assert.equal(await connection.invoke('GetActiveTransportName'), transport);
    assert.ok([null, undefined].includes(await connection.invoke('Void')));
    for (const v of [null, 0, -1, 1.5, 2 ** 40, 'x', true, [1, [2]], { a: { b: null } }]) assert.deepEqual(await connection.invoke('EchoAny', v), v);
  },
  async errors() {
    assert.equal(await failure(connection.invoke('ThrowException', 'boom')), `${fails('ThrowException')} InvalidOperationException: boom`);
    assert.equal(await failure(connection.invoke('Nothing')), "Unknown hub method 'Nothing'");
    assert.match(await failure(connection.invoke('Echo')), /^Failed to invoke 'Echo' due to an error on the server\. InvalidDataException: Invocation provides 0 argument\(s\) but target expects 1\.$/);
    assert.match(await failure(connection.invoke('Counter', 'x', 1)), /The client attempted to invoke the streaming 'Counter' method with a non-streaming invocation\./);
    assert.match(await failure(items(connection.stream('Echo', 'x'))), /The client attempted to invoke the non-streaming 'Echo' method with a streaming invocation\./);
    assert.equal(await connection.invoke('Echo', 'still here'), 'still here');
  },
  async events() {
    const heard = once('Message');
    await connection.invoke('InvokeWithString', 'x');
    assert.deepEqual(await heard, ['x']);
    const object = once('CustomObject');
    await connection.invoke('SendCustomObject', { Name: 'n', Value: 42 });
    assert.deepEqual(await object, [{ Name: 'n', Value: 42 }]);
    const got = [];
    connection.on('Push', (i) => got.push(i));
    await connection.invoke('Burst', 500);
    await until('all pushed', () => got.length === 500);
    connection.off('Push');
    assert.deepEqual(got, got.map((_, i) => i));
  },
  async groups() {
    await connection.invoke('JoinGroup', 'g');
    const heard = once('Push');
    await connection.send('SendToGroup', 'g', { a: 1 });
    assert.deepEqual(await heard, [{ a: 1 }]);
    await connection.invoke('LeaveGroup', 'g');
    connection.on('Push', () => assert.fail('not a member'));
    await connection.invoke('SendToGroup', 'g', 1);
    await connection.invoke('Void');
    connection.off('Push');
  },
  async complexObjects() {
    const want = {
      String: 'hello world', IntArray: [1, 2, 3], Guid: '00010203-0405-0607-0706-050403020100',
      ByteArray: pack ? new Uint8Array([1, 2, 3]) : 'AQID', DateTime: pack ? new Date(Date.UTC(2000, 0, 1)) : '2000-01-01T00:00:00Z',
    };
    const plain = (o) => ({ ...o, ByteArray: pack ? [...o.ByteArray] : o.ByteArray });
    assert.deepEqual(plain(await connection.invoke('SendComplexObject')), plain(want));
    assert.deepEqual(plain(await connection.invoke('EchoComplexObject', want)), plain(want));
  },
  async streams() {
    assert.deepEqual(await items(connection.stream('Stream')), ['a', 'b', 'c']);
    assert.deepEqual(await items(connection.stream('EmptyStream')), []);
    assert.equal(await failure(items(connection.stream('StreamThrowException', 'boom'))), `${fails('StreamThrowException')} InvalidOperationException: boom`);
    const all = await Promise.all([300, 200, 100].map((n) => items(connection.stream('Counter', n, 0))));
    all.forEach((got, i) => assert.deepEqual(got, Array.from({ length: 300 - 100 * i }, (_, k) => k)));
  },
  async cancel() {
    const canceled = once('StreamCanceled');
    const stream = connection.stream('InfiniteStream').subscribe({ next() {}, error() {}, complete() {} });
    await until('streaming', async () => await connection.invoke('ActiveStreams') === 1);
    stream.dispose();
    assert.deepEqual(await canceled, []);
    const slow = connection.stream('Counter', 1000, 60_000).subscribe({ next() {}, error() {}, complete() {} });
    await until('streaming', async () => await connection.invoke('ActiveStreams') === 1);
    slow.dispose();
    await until('over', async () => await connection.invoke('ActiveStreams') === 0);
  },
  async uploads() {
    const subject = new Subject();
    const answer = connection.invoke('StreamingConcat', subject);
    for (const part of Array.from({ length: 100 }, (_, i) => String(i % 10))) subject.next(part);
    subject.complete();
    assert.equal(await answer, '0123456789'.repeat(10));
    const broken = new Subject();
    const failed = failure(connection.invoke('StreamingConcat', broken));
    broken.next('a');
    broken.error(new Error('broken'));
    assert.equal(await failed, `${fails('StreamingConcat')} HubException: broken`);
    assert.match(await failure(connection.invoke('StreamingConcat')), /Client sent 0 stream\(s\), Hub method expects 1\./);
    assert.equal(await connection.invoke('Echo', 'x'), 'x');
  },
  async clientResults() {
    connection.on('Ask', (v) => ({ asked: v }));
    assert.deepEqual(await connection.invoke('AskClient', 7), { asked: 7 });
    connection.off('Ask');
    connection.on('Ask', () => { throw new Error('no'); });
    assert.equal(await failure(connection.invoke('AskClient', 7)), `${fails('AskClient')} HubException: Error: no`);
    connection.off('Ask');
    assert.equal(await failure(connection.invoke('AskClient', 7)), `${fails('AskClient')} HubException: Client didn't provide a result.`);
    const asked = async () => (await fetch(`${site}/clientresult/${connection.connectionId}`)).text();
    connection.on('Result', () => 12);
    assert.equal(await asked(), '12');
    connection.off('Result');
    connection.on('Result', () => Promise.reject(new Error('from callback')));
    assert.equal(await asked(), 'Error: from callback');
    connection.off('Result');
  },
  async waitingInBothDirections() {
    connection.on('Ask', async (v) => {
      const stream = await items(connection.stream('Counter', v, 0));
      return stream.length;
    });
    const flood = connection.invoke('AskClient', 50);
    const later = Promise.all(Array.from({ length: 300 }, (_, i) => connection.invoke('EchoAny', i)));
    assert.equal(await flood, 50);
    assert.deepEqual(await later, Array.from({ length: 300 }, (_, i) => i));
    connection.off('Ask');
  },
};

await connection.start();
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log(`ok ${name}`);
  } catch (e) {
    console.log(`not ok ${name}: ${e.message.replaceAll('\n', ' ').slice(0, 400)}`);
  }
}
await connection.stop();
console.log('done');
