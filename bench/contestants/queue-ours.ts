/** Our queue, as a node has it: `queue-ours.ts <database file, or URL of a PostgreSQL database>`. */
import { systemClock } from "../../src/clock.ts";
import { openHost } from "../../src/nursery/index.ts";
import { openPostgresStores, openSqliteStores } from "../../src/store/index.ts";
import { openLocalQueue } from "../../src/task/local.ts";
import type { ClaimedTask } from "../../src/task/queue.ts";
import { PAYLOAD, serveQueue } from "./queue-driver.ts";

const [path = ""] = process.argv.slice(2);
const { nursery } = openHost({ clock: systemClock });
const stores = await (path.startsWith("postgres:")
  ? openPostgresStores({ url: path })
  : openSqliteStores({ path }));
const { queue } = openLocalQueue({ store: stores.tasks, nursery, clock: systemClock });
const RESULT = { ok: true };

serveQueue<ClaimedTask>({
  submit: () => queue.submit([{ type: "bench", payload: { ...PAYLOAD } }]),
  claim: async () => (await queue.claim({ workerId: "bench", types: ["bench"] }))[0],
  complete: ({ lease }) => queue.complete(lease, RESULT),
});
