/**
 * Replays what the Python service was recorded to answer, over real streams.
 *
 * Ids, times and peer ids are aside, and so are the words of `detail`, which are Python's own. Where the answer is
 * meant to differ, docs/reference/wire.md says so in a table, which is read here: a row for each step.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as z from "zod";
import { isJsonObject, type JsonObject } from "../../src/content/json.ts";
import type { P2pHostOptions } from "../../src/p2p/index.ts";
import type { TaskQueue } from "../../src/task/queue.ts";
import { withHosts } from "./hosts.ts";
import { oldPeer, oldServer } from "./old-peer.ts";

const ROOT = join(import.meta.dirname, "../..");
const TOKEN = "a-secret-of-at-least-thirty-two-characters";
/** The peers of the recording. */
const CALLER = "12D3KooWCaller";
const SERVER = "12D3KooWTestServer";

const step = z.object({
  note: z.string(),
  transport_peer_id: z.string(),
  request_raw: z.union([z.string(), z.object({ generated: z.string() })]),
  response_raw: z.string(),
});
const scenario = z.object({
  scenario: z.string(),
  env: z.record(z.string(), z.string()),
  steps: z.array(step),
});
type Step = z.infer<typeof step>;

const recorded = z
  .object({ scenarios: z.array(scenario) })
  .parse(JSON.parse(readFileSync(join(ROOT, "test/vectors/rpc_transcripts.json"), "utf8"))).scenarios;

/** `scenario#step` → what the answer has instead, by dotted path; the path "" is the whole answer. */
const deviations = new Map(
  readFileSync(join(ROOT, "docs/reference/wire.md"), "utf8")
    .split("\n")
    .flatMap((line) => {
      const row = /^\| ([a-z-]+) +\| (\d+) +\| (D-\d+|2\.2).*\| `(.*)` +\|$/.exec(line);
      const differs: unknown = JSON.parse(row?.[4] ?? "null");
      return row && isJsonObject(differs) ? [[`${row[1]}#${row[2]}`, differs] as const] : [];
    }),
);

/** Members that are not compared: instants by whichever clock, and Python's own words. */
const ASIDE = new Set(["created_at", "updated_at", "last_seen", "ts", "detail"]);
/** Members that old answers did not have and old peers do not mind, at the top of a status or a refusal. */
const ADDED = ["name", "version", "queue", "multiaddrs", "tools", "mounts", "uptime_s", "worker"].concat([
  "error_code",
  "hint",
  "next_cursor",
]);

function comparable(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (typeof value === "string") return names.get(value) ?? value;
  if (Array.isArray(value)) return value.map((item) => comparable(item, names));
  if (!isJsonObject(value)) return value;
  const aside = (key: string, member: unknown): unknown =>
    ASIDE.has(key) && typeof member !== "object" ? key : comparable(member, names);
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, aside(key, member)]));
}

function parsed(text: string): unknown {
  return text === "" ? "" : JSON.parse(text);
}

function withChanges(answer: unknown, changes: JsonObject): unknown {
  if ("" in changes) return changes[""];
  const whole = structuredClone(answer);
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split(".");
    const last = keys.pop() ?? "";
    const parent = keys.reduce<unknown>(
      (at, key) => (at instanceof Object ? Reflect.get(at, key) : at),
      whole,
    );
    assert.ok(parent instanceof Object, `${path} is in the recorded answer`);
    Reflect.set(parent, last, value);
  }
  return whole;
}

function chunksOf({ note, request_raw: raw }: Step, rename: (text: string) => string): readonly string[] {
  if (typeof raw !== "string") {
    const text = raw.generated.replaceAll("\\n", "\n");
    return [text.replace(/<(\d+) a>/, (_, count: string) => "a".repeat(Number(count)))];
  }
  if (note.includes("first chunk ends")) return raw.split(/(?<=\n)/);
  return [rename(raw)];
}

function dropAdded(actual: unknown, expected: unknown): void {
  if (!isJsonObject(actual) || !isJsonObject(expected)) return;
  for (const added of ADDED) if (!(added in expected)) Reflect.deleteProperty(actual, added);
}

/** What the recording did behind the service's back at this place: a worker of its own wrote into the next task. */
async function writeProgress(queue: TaskQueue): Promise<void> {
  const [claimed] = await queue.claim({ workerId: "w4", types: ["t"], leaseMs: 60_000 });
  assert.ok(claimed);
  await queue.note(claimed.lease, {
    progress: { heartbeat_ts: 2, phase: "starting", ts: 1 },
    logs: [
      { atMs: 1, stream: "stdout", message: "line one" },
      { atMs: 2, stream: "stderr", message: "line two" },
    ],
  });
}

describe("the table of deviations", () => {
  it("names steps of the recording, with what differs", () => {
    const steps = recorded.flatMap(({ scenario: name, steps: all }) => all.map((_, i) => `${name}#${i + 1}`));
    assert.ok(deviations.size > 0);
    assert.deepEqual(
      [...deviations.keys()].filter((key) => !steps.includes(key)),
      [],
    );
  });
});

for (const { scenario: name, env, steps } of recorded) {
  describe(`the recorded scenario ${name}`, { timeout: 60_000 }, () => {
    it("is answered as it was, but for what the table of deviations says", () =>
      withHosts(async (open, nursery) => {
        const hasToken = "IPFS_ACCELERATE_PY_TASK_P2P_TOKEN" in env;
        const options: Partial<P2pHostOptions> = hasToken ? { sharedToken: TOKEN, trustLoopback: false } : {};
        const { host, address, queue, clock } = await oldServer(open, nursery, {}, options);
        await using peer = await oldPeer();
        const ids = new Map<string, string>();
        const theirs = new Map([
          [peer.peerId, CALLER],
          [host.peerId, SERVER],
        ]);
        const rename = (text: string): string =>
          [...ids]
            .reduce((all, [old, ours]) => all.replaceAll(old, ours), text)
            .replaceAll(/\bs3cret\b|\btok\b/g, TOKEN);

        for (const [index, one] of steps.entries()) {
          clock.jump(250);
          if (one.note === "get with progress and logs") await writeProgress(queue.as("old-wire"));
          const { request_raw: raw, response_raw: recordedText } = one;
          const ends = typeof raw === "string" && !raw.endsWith("\n");
          const answer = parsed(await peer.send(address, chunksOf(one, rename), ends));
          const before = parsed(recordedText);
          const [ours, old] = [answer, before].map((each) =>
            isJsonObject(each) ? each["task_id"] : undefined,
          );
          if (
            typeof ours === "string" &&
            typeof old === "string" &&
            old.startsWith("0000") &&
            !ids.has(old)
          ) {
            ids.set(old, ours);
            theirs.set(ours, old);
          }
          const differs = deviations.get(`${name}#${index + 1}`);
          const as = comparable(before, new Map());
          const expected = differs ? withChanges(as, differs) : as;
          const actual = comparable(answer, theirs);
          dropAdded(actual, expected);
          const where = `step ${index + 1} (${one.note})`;
          assert.deepEqual(actual, expected, where);
          if (differs) assert.notDeepEqual(actual, as, `${where} needs no row in the table`);
        }
      }));
  });
}
