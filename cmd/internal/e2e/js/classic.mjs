// A device as its users have written it for years: it knows two calls, says
// that it is there, and when it is told of work it waits for its turn, plays,
// and says that it is done. It prints when it played, a JSON object a line.
// Usage: node classic.mjs HUB-URL DEVICE AREA LOCATION PLAY-MS
import { setTimeout as sleep } from 'node:timers/promises';
import { HubConnectionBuilder, LogLevel } from '@microsoft/signalr';

const [url, deviceId, areaName, locationNumber, playMs] = process.argv.slice(2);
const tell = (what) => {
  process.stdout.write(`${JSON.stringify(what)}\n`);
};

const connection = new HubConnectionBuilder()
  .withUrl(url)
  .withAutomaticReconnect()
  .configureLogging(LogLevel.Warning)
  .build();

connection.on('ReceiveWorkStatus', (busy) => {
  tell({ busy });
});

connection.on('ReceiveWork', async (...args) => {
  tell({ work: args.length });
  await connection.invoke('BroadcastWorkStatus', areaName, true);
  tell({ start: Date.now() });
  await sleep(Number(playMs));
  tell({ end: Date.now() });
  await connection.invoke('BroadcastWorkStatus', areaName, false);
});

const register = () => connection.invoke('ReceiveDeviceConnected', deviceId, areaName, Number(locationNumber));
connection.onreconnected(register);
await connection.start();
await register();
tell({ ready: deviceId });
