import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { holderOf, openDataFolder } from "../src/data-folder.ts";
import { InvalidInputError, StoreLockedError } from "../src/errors.ts";
import { isAlive, isSameProcess, processStartTime } from "../src/process.ts";

let root: string;
let count = 0;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "mcpp-folder-"));
});
after(() => rm(root, { recursive: true, force: true }));

const MODULE = new URL("../src/data-folder.ts", import.meta.url).href;
const children: ReturnType<typeof spawn>[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

/** A process that opens the folder and says `held` or why not, and stays until it is killed. */
function holder(dir: string): {
  readonly pid: number;
  readonly said: Promise<string>;
  readonly kill: () => Promise<void>;
} {
  const script = `import { openDataFolder } from ${JSON.stringify(MODULE)};
    try { globalThis.folder = await openDataFolder(${JSON.stringify(dir)}); console.log("held"); setInterval(() => {}, 1e6); }
    catch (error) { console.log(error.code + " " + error.message); }`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const said = new Promise<string>((resolve) =>
    createInterface({ input: child.stdout }).once("line", resolve),
  );
  return {
    pid: child.pid ?? 0,
    said,
    kill: () => {
      child.kill("SIGKILL");
      return gone;
    },
  };
}

const fresh = (): string => join(root, `f${count++}`, "data");

describe("openDataFolder", () => {
  it("makes a folder for its owner only, and says where things are", async () => {
    const folder = await openDataFolder(fresh());
    assert.equal((await stat(folder.dir)).mode & 0o777, 0o700);
    assert.equal((await stat(folder.mounts)).mode & 0o777, 0o700);
    assert.equal(folder.identity, join(folder.dir, "identity.key"));
    assert.equal(folder.queue, join(folder.dir, "queue.db"));
    assert.equal(folder.announce, join(folder.dir, "announce.json"));
    await folder.close();
  });

  it("refuses a second node of the same process until the first is closed", async () => {
    const dir = fresh();
    const first = await openDataFolder(dir);
    await assert.rejects(openDataFolder(dir), StoreLockedError);
    await first.close();
    await first.close();
    const second = await openDataFolder(dir);
    await second.close();
    assert.equal(await holderOf(dir), undefined);
  });

  it("refuses a folder that another process holds, naming its pid and what to do", async () => {
    const dir = fresh();
    const other = holder(dir);
    assert.equal(await other.said, "held");
    await assert.rejects(openDataFolder(dir), (error: unknown) => {
      assert.ok(error instanceof StoreLockedError);
      assert.match(error.message, new RegExp(`pid ${other.pid}\\b`));
      assert.match(error.hint ?? "", /MCPP_DATA_DIR/);
      return true;
    });
  });

  it("is free again the moment its holder was killed", async () => {
    const dir = fresh();
    const other = holder(dir);
    assert.equal(await other.said, "held");
    await other.kill();
    assert.equal(await holderOf(dir), undefined);
    const folder = await openDataFolder(dir);
    assert.equal((await holderOf(dir))?.pid, process.pid);
    await folder.close();
  });

  it("lets exactly one of many starters take over from a killed one", async () => {
    const dir = fresh();
    const first = holder(dir);
    assert.equal(await first.said, "held");
    await first.kill();
    const said = await Promise.all(Array.from({ length: 5 }, () => holder(dir).said));
    assert.equal(said.filter((line) => line === "held").length, 1, said.join("; "));
    assert.equal(said.filter((line) => line.startsWith("E_STORE_LOCKED")).length, 4, said.join("; "));
  });

  it("does not take a record whose pid was given to another process for a living holder", async () => {
    const dir = fresh();
    const folder = await openDataFolder(dir);
    const record: unknown = JSON.parse(await readFile(join(dir, "node.json"), "utf8"));
    await folder.close();
    assert.ok(typeof record === "object" && record !== null);
    await writeFile(join(dir, "node.json"), JSON.stringify({ ...record, startTime: "another boot/1" }));
    assert.equal(await holderOf(dir), undefined);
  });

  it("refuses a path that is a file", async () => {
    const path = join(root, "a-file");
    await writeFile(path, "");
    await assert.rejects(openDataFolder(path), InvalidInputError);
  });
});

describe("process identity", () => {
  it("knows this process, and not one that has ended", async () => {
    assert.ok(isSameProcess(process.pid, processStartTime(process.pid)));
    assert.ok(!isSameProcess(process.pid, "another time"));
    const child = holder(fresh());
    await child.said;
    const startTime = processStartTime(child.pid);
    assert.ok(isSameProcess(child.pid, startTime));
    await child.kill();
    assert.ok(!isAlive(child.pid));
    assert.ok(!isSameProcess(child.pid, startTime));
  });
});
