// Writes vectors.json: bytes as the vendor's own client makes them.
//
//   npm install @microsoft/signalr@10.0.11 @microsoft/signalr-protocol-msgpack@10.0.11
//   node vectors.mjs > vectors.json
import { createRequire } from "node:module";
const require = createRequire(process.cwd() + "/");
const { JsonHubProtocol } = require("@microsoft/signalr");
const { MessagePackHubProtocol } = require("@microsoft/signalr-protocol-msgpack");

const long = "x".repeat(300);
const when = new Date(Date.UTC(2000, 0, 1));
const whenMs = new Date(Date.UTC(2026, 6, 30, 12, 34, 56, 789));
const messages = {
  invocation: { type: 1, target: "Echo", arguments: ["hi", 1, -7, 1.5, null, true, [1, 2], { a: "b" }], invocationId: "0", streamIds: [] },
  "invocation without id": { type: 1, target: "Send", arguments: [] },
  "invocation without streams": { type: 1, target: "Send", arguments: [42], invocationId: "1" },
  "invocation with streams": { type: 1, target: "Up", arguments: ["x"], invocationId: "2", streamIds: ["3", "4"] },
  "invocation with headers": { type: 1, target: "Send", headers: { k: "v" }, arguments: ["x"], invocationId: "5" },
  "invocation, long": { type: 1, target: "Echo", arguments: [long], invocationId: "6" },
  "invocation, integers": { type: 1, target: "N", arguments: [127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 9007199254740991, -32, -33, -128, -129, -32769, -2147483649], invocationId: "7" },
  "invocation, bytes": { type: 1, target: "B", arguments: [new Uint8Array([0, 1, 255])], invocationId: "8" },
  "invocation, times": { type: 1, target: "T", arguments: [when, whenMs], invocationId: "9" },
  "invocation, unicode": { type: 1, target: "Grüße", arguments: ["\u{1f50a} \u001e \n"], invocationId: "10" },
  "stream item": { type: 2, invocationId: "3", item: { n: 1 } },
  "stream item, null": { type: 2, invocationId: "3", item: null },
  "completion, result": { type: 3, invocationId: "s1", result: [1, "a"] },
  "completion, null": { type: 3, invocationId: "s1", result: null },
  "completion, void": { type: 3, invocationId: "s1" },
  "completion, error": { type: 3, invocationId: "s1", error: "no such gate" },
  "stream invocation": { type: 4, target: "Counter", arguments: [10, 0], invocationId: "11", streamIds: [] },
  "cancel invocation": { type: 5, invocationId: "11" },
  ping: { type: 6 },
  close: { type: 7 },
  ack: { type: 8, sequenceId: 300 },
  sequence: { type: 9, sequenceId: 1 },
};
const json = new JsonHubProtocol();
const pack = new MessagePackHubProtocol();
const out = [];
for (const [name, m] of Object.entries(messages)) {
  out.push({ name, json: json.writeMessage(m), messagepack: Buffer.from(pack.writeMessage(m)).toString("hex") });
}
console.log(JSON.stringify({ source: ["@microsoft/signalr 10.0.11", "@microsoft/signalr-protocol-msgpack 10.0.11"], vectors: out }, null, 1));
