import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, it } from "node:test";
import { openSqliteStores } from "../../src/store/index.ts";
import { tempFolder } from "./temp-folder.ts";

const CYCLES = 4;
const child = fileURLToPath(new URL("./crash-child.ts", import.meta.url));

/** What a child acknowledged before it was killed, at the line of that number. */
async function runAndKill(path: string, cycle: number, killAtLine: number): Promise<string[]> {
  const running = spawn(process.execPath, [child, path, `${cycle}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(running, "exit");
  const lines: string[] = [];
  for await (const line of createInterface({ input: running.stdout })) {
    lines.push(line);
    if (lines.length === killAtLine) running.kill("SIGKILL");
  }
  assert.deepEqual(await exited, [null, "SIGKILL"]);
  return lines;
}

describe("a process that is killed with SIGKILL", () => {
  it("has lost nothing that it acknowledged, and its database opens", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "tasks.db");
    const submitted: string[] = [];
    const completed: string[] = [];
    let random = 20_260_101;
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      random = (random * 1_103_515_245 + 12_345) % 0x7fffffff;
      for (const line of await runAndKill(path, cycle, 1 + (random % 700))) {
        const [what, id = ""] = line.split(" ");
        (what === "completed" ? completed : submitted).push(id);
      }

      await using stores = await openSqliteStores({ path });
      for (const id of submitted) assert.ok(await stores.tasks.get(id), `${id} was lost`);
      for (const id of completed) assert.equal((await stores.tasks.get(id))?.state, "completed", id);
    }
    assert.ok(completed.length > 0);
  });
});
