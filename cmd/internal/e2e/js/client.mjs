// A client that does what each line of standard input says, and prints what it
// is told, a JSON object a line:
//   {"id":1,"invoke":"JoinArea","args":["*"]}   prints {"id":1,"result":…} or {"id":1,"error":"…"}
//   {"id":2,"send":"Echo","args":[1]}           prints {"id":2,"result":null} when it is sent
//   {"id":3,"stream":"StreamTopics","args":["#"]} prints {"id":3,"item":…} for each, and {"id":3,"result":null} at the end
//   {"stop":true}                               ends
// Usage: node client.mjs HUB-URL [TOKEN]
import { createInterface } from 'node:readline';
import { HubConnectionBuilder, LogLevel } from '@microsoft/signalr';

const tell = (what) => {
  process.stdout.write(`${JSON.stringify(what)}\n`);
};
const soon = { nextRetryDelayInMilliseconds: () => 100 };
const connection = new HubConnectionBuilder().withUrl(process.argv[2], process.argv[3] ? { accessTokenFactory: () => process.argv[3] } : {}).withAutomaticReconnect(soon).configureLogging(LogLevel.None).build();

for (const event of ['AreaChanged', 'DeviceChanged', 'OrderChanged', 'Reading', 'Topic', 'ReceiveMetric', 'ReceiveWork', 'ReceiveWorkStatus', 'WorkOffered', 'Revoked', 'ConnectionAcknowledged', 'Alarm', 'Barrier', 'Down', 'Up', 'End']) {
  connection.on(event, (...args) => tell({ event, args }));
}
connection.onreconnecting(() => tell({ state: 'reconnecting' }));
connection.onreconnected((id) => tell({ state: 'reconnected', connection: id }));
connection.onclose((error) => tell({ state: 'closed', error: error?.message ?? null }));

await connection.start();
tell({ state: 'connected', connection: connection.connectionId });
for await (const line of createInterface({ input: process.stdin })) {
  const { id, invoke, send, stream, args = [], stop } = JSON.parse(line);
  if (stop) break;
  if (stream) {
    connection.stream(stream, ...args).subscribe({
      next: (item) => tell({ id, item }),
      complete: () => tell({ id, result: null }),
      error: (error) => tell({ id, error: error.message }),
    });
    continue;
  }
  const call = invoke ? connection.invoke(invoke, ...args) : connection.send(send, ...args);
  call.then((result) => tell({ id, result: result ?? null }), (error) => tell({ id, error: error.message }));
}
await connection.stop();
