/** pg-boss on a PostgreSQL server: `pgboss.mjs <url>`. Fetches and completions that come together are one, as in its workers. */
import { PgBoss } from "pg-boss";
import { PAYLOAD, serveQueue } from "../contestants/queue-driver.ts";
import { gathered } from "./gathered.mjs";

const [url] = process.argv.slice(2);
// As many connections as ours has.
const boss = new PgBoss({ connectionString: url, max: 5, supervise: false, schedule: false });
boss.on("error", (error) => console.error(error));
await boss.start();
const name = "bench";
await boss.createQueue(name);

serveQueue({
  submit: () => boss.send(name, PAYLOAD),
  claim: gathered(64, (asked) => boss.fetch(name, { batchSize: asked.length })),
  complete: gathered(64, async (jobs) => {
    await boss.complete(
      name,
      jobs.map(({ id }) => id),
    );
    return jobs;
  }),
});
