/** A process that submits and completes tasks as fast as it can and prints what was acknowledged, until it is killed. */
import { writeSync } from "node:fs";
import { openSqliteStores } from "../../src/store/index.ts";
import { claimOf, draft, leaseOf } from "./conformance/fixtures.ts";

const [path = "", cycle = ""] = process.argv.slice(2);
const { tasks } = await openSqliteStores({ path });
let submitted = 0;

async function submit(): Promise<void> {
  for (;;) {
    submitted += 1;
    const [receipt] = await tasks.insert([draft(`${cycle}-${submitted}`)], 0);
    writeSync(1, `submitted ${receipt?.taskId}\n`);
  }
}

async function complete(): Promise<void> {
  for (;;) {
    const claims = await tasks.claim(claimOf({ limit: 2, leaseUntilMs: 1e12 }), 0);
    await Promise.all(
      claims.map(async (claim) => {
        await tasks.settle(leaseOf(claim), { kind: "completed", result: { cycle } }, 0);
        writeSync(1, `completed ${claim.task.id}\n`);
      }),
    );
  }
}

await Promise.all([...Array.from({ length: 16 }, submit), ...Array.from({ length: 4 }, complete)]);
