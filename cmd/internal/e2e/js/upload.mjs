// Sends a sound file to the hub over UploadClip and prints what it answers, a JSON
// object a line. Bytes are bytes with MessagePack, and base64 text with JSON.
// Usage: node upload.mjs HUB-URL FILE json|messagepack
import { readFile } from 'node:fs/promises';
import { HubConnectionBuilder, JsonHubProtocol, LogLevel, Subject } from '@microsoft/signalr';
import { MessagePackHubProtocol } from '@microsoft/signalr-protocol-msgpack';

const [url, file, protocol] = process.argv.slice(2);
const json = protocol === 'json';
const connection = new HubConnectionBuilder().withUrl(url).withHubProtocol(json ? new JsonHubProtocol() : new MessagePackHubProtocol()).configureLogging(LogLevel.None).build();
await connection.start();
const bytes = await readFile(file);
const stream = new Subject();
const answer = connection.invoke('UploadClip', 'sent by npm', stream);
for (let at = 0; at < bytes.length; at += 16384) {
  const part = bytes.subarray(at, at + 16384);
  stream.next(json ? part.toString('base64') : new Uint8Array(part));
}
stream.complete();
const told = await answer.then((result) => ({ result }), (error) => ({ error: error.message }));
process.stdout.write(`${JSON.stringify(told)}\n`);
await connection.stop();
