/** A process that has a queue open, for tests with several of them. Run by `fork`; does what its parent sends. */
import { systemClock } from "../../src/clock.ts";
import { openHost } from "../../src/nursery/index.ts";
import { openPostgresStores, openSqliteStores } from "../../src/store/index.ts";
import { openLocalQueue } from "../../src/task/local.ts";
import * as z from "zod";

const orderSchema = z.discriminatedUnion("do", [
  z.object({ do: z.literal("submit"), count: z.int() }),
  z.object({ do: z.literal("wait"), taskId: z.string() }),
  z.object({ do: z.literal("cancel"), taskId: z.string() }),
  z.object({ do: z.literal("work"), workerId: z.string(), count: z.int() }),
  z.object({ do: z.literal("cycles"), workerId: z.string(), count: z.int() }),
]);

type Order = z.infer<typeof orderSchema>;

/** A file, or the URL of a database. */
const [, , path = ""] = process.argv;
const host = openHost({ name: "queue process" });
const stores = await (path.startsWith("postgres:")
  ? openPostgresStores({ url: path })
  : openSqliteStores({ path }));
const { queue } = openLocalQueue({ store: stores.tasks, nursery: host.nursery, clock: systemClock });

async function submit(count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    const [receipt] = await queue.submit([{ type: "t", payload: { i } }]);
    ids.push(receipt?.taskId ?? "");
  }
  return ids;
}

async function work(workerId: string, count: number): Promise<string[]> {
  const done: string[] = [];
  while (done.length < count) {
    for (const { lease } of await queue.claim({ workerId, waitMs: 20_000 })) {
      await queue.complete(lease, { by: workerId });
      done.push(lease.taskId);
    }
  }
  return done;
}

async function cycles(workerId: string, count: number): Promise<string[]> {
  const done: string[] = [];
  for (let i = 0; i < count; i++) {
    await submit(1);
    done.push(...(await work(workerId, 1)));
  }
  return done;
}

async function obey(order: Order): Promise<unknown> {
  if (order.do === "submit") return submit(order.count);
  if (order.do === "cancel") return queue.cancel(order.taskId, "nobody needs it");
  if (order.do === "work") return work(order.workerId, order.count);
  if (order.do === "cycles") return cycles(order.workerId, order.count);
  const { finished } = await queue.wait(order.taskId, 20_000);
  return finished;
}

process.on("message", (message: unknown) => {
  const order = orderSchema.parse(message);
  obey(order).then(
    (value) => process.connected && process.send?.({ value }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.send?.({ ready: true });
