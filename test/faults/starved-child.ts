/**
 * Submits tasks until the system refuses, then until it lets it again, and says in JSON how that went.
 *
 * Its shell has limited the size of its files, or the number of them.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { errorFacts } from "../../src/errors.ts";
import { openSqliteStores } from "../../src/store/index.ts";
import { draft } from "../store/conformance/fixtures.ts";

const [what, path = ""] = process.argv.slice(2);
/** More than any limit that the tests set. */
const MOST_TASKS = 2000;

async function codeOf(work: () => Promise<unknown>): Promise<string> {
  return work().then(
    () => "done",
    (error: unknown) => errorFacts(error).code,
  );
}

/** Uses up all descriptors. @returns what gives them back */
function useUpFiles(): () => void {
  const held: number[] = [];
  try {
    for (;;) held.push(openSync("/dev/null", "r"));
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "EMFILE") throw error;
  }
  return () => held.splice(0).forEach((file) => closeSync(file));
}

const payload = { text: "x".repeat(2000) };

if (what === "files") {
  const release = useUpFiles();
  const opening = await codeOf(() => openSqliteStores({ path }));
  release();
  const stores = await openSqliteStores({ path });
  await stores.tasks.insert([draft("before")], 0);
  const again = useUpFiles();
  const during = await codeOf(() => stores.tasks.insert([draft("during", { payload })], 0));
  again();
  const after = await codeOf(() => stores.tasks.insert([draft("after")], 0));
  const kept = [await stores.tasks.get("before"), await stores.tasks.get("after")].length;
  await stores.close();
  writeSync(1, JSON.stringify({ opening, during, after, kept }));
} else {
  const stores = await openSqliteStores({ path });
  const acknowledged: string[] = [];
  let refusal = "none";
  for (let i = 0; refusal === "none" && i < MOST_TASKS; i++) {
    const outcome = await codeOf(() => stores.tasks.insert([draft(`t${i}`, { payload })], 0));
    if (outcome === "done") acknowledged.push(`t${i}`);
    else refusal = outcome;
  }
  const readable = await codeOf(async () => stores.tasks.get("t0"));
  const closing = await codeOf(() => stores.close());
  writeSync(1, JSON.stringify({ refusal, acknowledged, readable, closing }));
}
