import { join } from "node:path";
import { after } from "node:test";
import { openMemoryStores, openSqliteStores } from "../../src/store/index.ts";
import { tempFolder } from "../store/temp-folder.ts";
import { describeMatching } from "./matching.ts";

const folder = tempFolder();
after(() => folder[Symbol.dispose]());
let files = 0;

describeMatching("memory", async () => openMemoryStores());
describeMatching("sqlite", () => {
  files += 1;
  return openSqliteStores({ path: join(folder.path, `${files}.db`) });
});
