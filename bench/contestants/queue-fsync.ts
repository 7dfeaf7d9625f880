/** The least that durability costs without sharing it: write a record and fsync, one after the other. `queue-fsync.ts <file>` */
import { fsyncSync, openSync, writeSync } from "node:fs";
import { answerParent } from "../shared/child.ts";
import { loadSchema, runLanes } from "../shared/sample.ts";
import { RECORD } from "./queue-driver.ts";

const [path = ""] = process.argv.slice(2);
const file = openSync(path, "a");

answerParent({
  write: (load) =>
    runLanes(loadSchema.parse(load), async () => {
      writeSync(file, RECORD);
      fsyncSync(file);
    }),
});
