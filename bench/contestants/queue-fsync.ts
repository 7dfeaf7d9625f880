/** The least that durability costs without sharing it: write a record and fsync, one after the other. `queue-fsync.ts <file>` */
import { fsyncSync, openSync, writeSync } from "node:fs";
import { answerParent } from "../shared/child.ts";
import { loadSchema, runLanes } from "../shared/sample.ts";
import { PAYLOAD } from "./queue-driver.ts";

const [path = ""] = process.argv.slice(2);
const file = openSync(path, "a");
const id = "0".repeat(32);
const record = JSON.stringify({ id, type: "bench", payload: PAYLOAD, priority: 5, digest: id + id });

answerParent({
  write: (load) =>
    runLanes(loadSchema.parse(load), async () => {
      writeSync(file, record);
      fsyncSync(file);
    }),
});
