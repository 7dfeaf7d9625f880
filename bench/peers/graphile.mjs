/**
 * graphile-worker on a PostgreSQL server: `graphile.mjs <url>`. Jobs are taken and ended by the functions that its worker
 * uses inside, those that come together at once, as its local queue does.
 */
import { makeWorkerUtils } from "graphile-worker";
import { Pool } from "pg";
import { PAYLOAD, serveQueue } from "../contestants/queue-driver.ts";
import { gathered } from "./gathered.mjs";

const inside = (file) => import(new URL(`node_modules/graphile-worker/dist/${file}`, import.meta.url).href);
const { makeEnhancedWithPgClient, processSharedOptions } = await inside("lib.js");
const { makeWithPgClientFromPool } = await inside("helpers.js");
const { batchGetJobs } = await inside("sql/getJobs.js");
const { batchCompleteJobs } = await inside("sql/completeJobs.js");

const [url] = process.argv.slice(2);
// As many connections as ours has.
const pgPool = new Pool({ connectionString: url, max: 5 });
pgPool.on("error", (error) => console.error(error));
pgPool.on("connect", (client) => client.on("error", (error) => console.error(error)));
const options = { pgPool };
const utils = await makeWorkerUtils(options);
await utils.migrate();
const compiled = processSharedOptions(options);
const withPgClient = makeEnhancedWithPgClient(makeWithPgClientFromPool(pgPool));
const tasks = { bench: async () => undefined };
const worker = `bench-${process.pid}`;

serveQueue({
  submit: () => utils.addJob("bench", PAYLOAD),
  claim: gathered(64, (asked) => batchGetJobs(compiled, withPgClient, tasks, worker, null, asked.length)),
  complete: gathered(64, async (jobs) => {
    await batchCompleteJobs(compiled, withPgClient, worker, jobs);
    return jobs;
  }),
});
