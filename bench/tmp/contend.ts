import { startChild } from "../shared/child.ts";
import { startDatabase } from "../shared/database.ts";
import { temporaryFolder } from "../shared/folder.ts";
import { sampleSchema } from "../shared/sample.ts";
const which = process.argv[2] ?? "pg"; const rounds = Number(process.argv[3] ?? 3);
using folder = temporaryFolder();
await using db = await startDatabase();
const place = which === "pg" ? db.url ?? "" : folder.file("x.db");
const kids = [];
for (let i = 0; i < 4; i++) kids.push(await startChild(new URL("../contestants/queue-ours.ts", import.meta.url), [place]));
for (let r = 0; r < rounds; r++) {
  const cpu0 = await Promise.all(kids.map((k) => k.cpuUs()));
  const s = await Promise.all(kids.map((k) => k.ask("cycle", { lanes: 16, count: 640 }, sampleSchema)));
  const cpu1 = await Promise.all(kids.map((k) => k.cpuUs()));
  console.log(which, Math.round(4 * 640 * 1000 / Math.max(...s.map((x) => x.ms))), "/s", s.map((x) => Math.round(x.ms)).join(" "), "cpu us/cycle", Math.round(cpu1.reduce((a, c, i) => a + c - (cpu0[i] ?? 0), 0) / 2560));
}
if (which === "pg") {
  const { Client } = await import("pg"); const c = new Client({ connectionString: db.url ?? "" }); await c.connect();
  console.log((await c.query("select relname, n_tup_ins, n_tup_upd, n_tup_del, idx_scan, seq_scan from pg_stat_user_tables where schemaname='mcplusplus'")).rows.map((r) => JSON.stringify(r)).join("\n"));
  console.log((await c.query("select xact_commit, xact_rollback from pg_stat_database where datname='postgres'")).rows);
  await c.end();
}
for (const k of kids) await k[Symbol.asyncDispose]();
process.exit(0);
