// The same bodies as bench/render_bench.c makes, from rows as NDJSON: node bench/render.mjs hubspot|webhook ROWS
// Prints records per second of processor time; reading the file is not counted, parsing its lines is.
import { readFileSync } from "node:fs";

const [kind, path] = process.argv.slice(2);
const lines = readFileSync(path, "utf8").trimEnd().split("\n");
const size = kind === "hubspot" ? 100 : 500;
const text = (v) => (v === null ? "" : String(v));

function hubspot(rows) {
  return {
    inputs: rows.map((row, i) => ({
      idProperty: "email",
      id: text(row.email),
      objectWriteTraceId: "r" + i,
      properties: Object.fromEntries(Object.entries(row).map(([name, v]) => [name, text(v)])),
    })),
  };
}

function webhook(rows) {
  return {
    sync: "customers_to_crm", run: "r1", batch: "r1-1", attempt: 1,
    records: rows.map((row) => ({ op: "upsert", key: { email: row.email }, fields: row })),
  };
}

const body = kind === "hubspot" ? hubspot : webhook;
let bytes = 0;
const before = process.cpuUsage();
for (let i = 0; i < lines.length; i += size)
  bytes += Buffer.byteLength(JSON.stringify(body(lines.slice(i, i + size).map((l) => JSON.parse(l)))));
const used = process.cpuUsage(before);
const seconds = (used.user + used.system) / 1e6;
console.log(`node ${kind.padEnd(9)} ${Math.round(lines.length / seconds)} records/s, ${Math.round(bytes / lines.length)} bytes a record`);
