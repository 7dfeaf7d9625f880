import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import * as z from "zod";
import { createDiscoveries, peerFolderDiscovery } from "../../src/discovery/index.ts";
import {
  PEER_FILE_TTL_MS,
  type PeerFile,
  peerFileName,
  peerFileOf,
  peerFileText,
  readPeerFiles,
} from "../../src/discovery/peer-folder.ts";
import { openNursery, run } from "../../src/nursery/index.ts";
import { settled, TestClock } from "../support/clock.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/node-process.ts";
import {
  ADVERTISED,
  advertiserConformance,
  discoveryConformance,
  selfAt,
  untilFound,
} from "./conformance.ts";

const OTHER = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo";
const ADDRESS = `/ip4/192.0.2.7/tcp/9710/p2p/${ADVERTISED}`;
const NEVER = new AbortController().signal;

/** The instant at which the vectors were recorded. */
const RECORDED_MS = Date.UTC(2026, 1, 13, 12, 0, 0) + 123.456;

function fileOf(peerId: string, seenAt: string, rest: object = {}): string {
  return JSON.stringify({
    peer_id: peerId,
    multiaddr: `/ip4/192.0.2.7/tcp/9710/p2p/${peerId}`,
    last_seen: seenAt,
    ...rest,
  });
}

discoveryConformance("a folder of peers", async () => {
  const temporary = temporaryFolder();
  await writeFile(join(temporary.path, "peer_a.json"), fileOf(ADVERTISED, new Date().toISOString()));
  return {
    discovery: peerFolderDiscovery({ folder: temporary.path }),
    peerId: ADVERTISED,
    multiaddr: ADDRESS,
    [Symbol.asyncDispose]: async () => temporary[Symbol.dispose](),
  };
});

advertiserConformance("a folder of peers", async () => {
  const temporary = temporaryFolder();
  const folder = join(temporary.path, "made", "by-the-node");
  const clock = new TestClock();
  return {
    advertiser: peerFolderDiscovery({ folder, clock: new TestClock() }),
    reader: peerFolderDiscovery({ folder, clock }),
    address: (number) => `/ip4/192.0.2.${number}/tcp/4001`,
    withinMs: 5000,
    outlive: async () => clock.jump(PEER_FILE_TTL_MS),
    [Symbol.asyncDispose]: async () => temporary[Symbol.dispose](),
  };
});

describe("a folder of peers", () => {
  let temporary: TemporaryFolder;
  let folder = "";
  beforeEach(() => {
    temporary = temporaryFolder();
    folder = temporary.path;
  });
  afterEach(() => temporary[Symbol.dispose]());

  it("is private, and so is each file in it", async () => {
    const inside = join(folder, "peers");
    const discovery = peerFolderDiscovery({ folder: inside });
    await openNursery(async (nursery) => {
      nursery.startSoon(async () => discovery.advertise?.(selfAt(["/ip4/192.0.2.1/tcp/1"])));
      await untilFound(peerFolderDiscovery({ folder: inside }), (hints) => hints.length > 0, 5000);
      assert.equal((await stat(inside)).mode & 0o777, 0o700);
      const [name = ""] = await readdir(inside);
      assert.equal(name, `peer_${ADVERTISED}.json`);
      assert.equal((await stat(join(inside, name))).mode & 0o777, 0o600);
      nursery.cancel();
    });
    assert.deepEqual(await readdir(inside), []);
  });

  it("that others may write into is refused, for reading and for writing", async () => {
    await writeFile(join(folder, "peer_a.json"), fileOf(ADVERTISED, new Date().toISOString()));
    await chmod(folder, 0o777);
    const discovery = peerFolderDiscovery({ folder });
    await assert.rejects(discovery.find(undefined, NEVER), { code: "E_CONFIG", message: /nobody else/ });
    await assert.rejects(
      run(() => discovery.advertise?.(selfAt(["/ip4/192.0.2.1/tcp/1"])) ?? Promise.resolve()),
      { code: "E_CONFIG" },
    );
  });

  it("that is not there has nobody in it", async () => {
    const discovery = peerFolderDiscovery({ folder: join(folder, "missing") });
    assert.deepEqual(await discovery.find(undefined, NEVER), []);
  });

  it("is written into again before the time is over, as long as the node runs", async () => {
    const clock = new TestClock();
    const discovery = peerFolderDiscovery({ folder, clock });
    const reader = peerFolderDiscovery({ folder, clock });
    await run(
      () =>
        openNursery(async (nursery) => {
          nursery.startSoon(async () => discovery.advertise?.(selfAt(["/ip4/192.0.2.1/tcp/1"])));
          for (let third = 0; third < 9; third++) {
            await untilFound(reader, (hints) => hints.length > 0, 5000);
            const before = await lastSeen(folder);
            clock.jump(PEER_FILE_TTL_MS / 3);
            while ((await lastSeen(folder)) === before) await settled();
          }
          nursery.cancel();
        }),
      { clock },
    );
  });

  it("lets nobody hide others: broken, foreign, misleading, huge and future files are passed over and stay", async () => {
    const now = new Date().toISOString();
    const bad = {
      "peer_half.json": '{"peer_id":',
      "peer_list.json": "[]",
      "peer_huge.json": fileOf(OTHER, now, { metadata: { x: "x".repeat(100_000) } }),
      "peer_date.json": fileOf(OTHER, "yesterday"),
      "peer_future.json": fileOf(OTHER, "2999-01-01T00:00:00"),
      "peer_nowhere.json": fileOf(OTHER, now, { multiaddr: "nonsense" }),
      "peer_liar.json": fileOf(OTHER, now, { multiaddr: ADDRESS }),
      "notes.txt": "mine",
    };
    await mkdir(join(folder, "peer_folder.json"));
    for (const [name, text] of Object.entries(bad)) await writeFile(join(folder, name), text);
    await writeFile(join(folder, "peer_good.json"), fileOf(ADVERTISED, now));
    const hints = await peerFolderDiscovery({ folder }).find(undefined, NEVER);
    assert.deepEqual(
      hints.map((hint) => hint.peerId),
      [ADVERTISED],
    );
    assert.equal((await readdir(folder)).length, Object.keys(bad).length + 2);
  });

  it("shows no more a node whose process has ended without removing its file", async () => {
    const { pid } = spawnSync(process.execPath, ["-e", ""]);
    const metadata = { pid, host: hostname() };
    const now = new Date().toISOString();
    await writeFile(join(folder, "peer_a.json"), fileOf(ADVERTISED, now, { metadata }));
    assert.deepEqual(await peerFolderDiscovery({ folder }).find(undefined, NEVER), []);
  });

  it("reads instants with and without a zone, which blinded the old nodes", async () => {
    await writeFile(join(folder, "peer_a.json"), fileOf(ADVERTISED, "2026-02-13T12:50:00+01:00"));
    await writeFile(join(folder, "peer_b.json"), fileOf(OTHER, "2026-02-13T11:40:00.5"));
    const files = await readPeerFiles(folder, {
      nowMs: RECORDED_MS,
      ttlMs: PEER_FILE_TTL_MS,
      signal: NEVER,
    });
    assert.deepEqual(
      files.map((file) => file.peer_id),
      [ADVERTISED, OTHER],
    );
  });

  it("makes a harmless file name of any name", () => {
    assert.equal(peerFileName("../../etc/passwd\0"), "peer_.._.._etc_passwd_.json");
    assert.equal(peerFileName("me"), "peer_me.json");
  });
});

const fileSchema = z.record(z.string(), z.unknown());
const peerFileSchema: z.ZodType<PeerFile> = z.object({
  peer_id: z.string(),
  runner_name: z.string(),
  public_ip: z.string().nullable(),
  listen_port: z.number(),
  multiaddr: z.string(),
  last_seen: z.string(),
  metadata: z.record(z.string(), z.unknown()),
});
const vectors = z
  .object({
    cases: z.array(
      z.object({
        name: z.string(),
        env: z.record(z.string(), z.string()),
        files_before: z.record(z.string(), z.union([z.string(), fileSchema])),
        returns: z.unknown(),
        files_after: z.record(z.string(), z.string()),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(new URL("../vectors/bootstrap.json", import.meta.url), "utf8")));

/** A file as it was on the disk: what is there afterwards is known byte by byte, the others only by their fields. */
function bytesOf(name: string, content: unknown, after: Readonly<Record<string, string>>): string {
  return after[name] ?? (typeof content === "string" ? content : JSON.stringify(content));
}

describe("the recorded file registry", () => {
  for (const { name, env, files_before, returns, files_after } of vectors.cases)
    it(name, async () => {
      using temporary = temporaryFolder();
      const folder = temporary.path;
      for (const [file, content] of Object.entries(files_before))
        await writeFile(join(folder, file), bytesOf(file, content, files_after));
      const clock = new TestClock(RECORDED_MS);

      if (name === "register") {
        const text = files_after["peer_me.json"] ?? "";
        const recorded = peerFileSchema.parse(JSON.parse(text));
        const own = peerFileOf(selfAt(["/ip4/203.0.113.5/tcp/9100"]), RECORDED_MS);
        assert.ok(own);
        assert.deepEqual(Object.keys(own), Object.keys(recorded));
        const { public_ip, listen_port, last_seen } = recorded;
        assert.deepEqual(
          [own.public_ip, own.listen_port, own.last_seen],
          [public_ip, listen_port, last_seen],
        );
        assert.equal(peerFileText(recorded), text);
        await writeFile(join(folder, peerFileName("me")), peerFileText(recorded));
        assert.deepEqual(await readPeerFiles(folder, { nowMs: RECORDED_MS, ttlMs: 1, signal: NEVER }), [
          recorded,
        ]);
        return;
      }
      const options = { nowMs: RECORDED_MS, ttlMs: PEER_FILE_TTL_MS, signal: NEVER };
      const others = (await readPeerFiles(folder, options)).filter((file) => file.runner_name !== "me");
      if (name.startsWith("discover")) assert.deepEqual(others, returns);
      if (Array.isArray(returns) && !name.startsWith("discover")) {
        // The own file is left out by peer id here, which needs a running node: its place is taken by not being there.
        const bootstrap = (env["CACHE_BOOTSTRAP_PEERS"] ?? "").split(",").map((text) => text.trim());
        const discoveries = createDiscoveries({
          announceFiles: [],
          bootstrap: bootstrap.filter((text) => text !== ""),
          peerFolder: { folder, clock },
          publicBootstrap: env["IPFS_ACCELERATE_ENABLE_PUBLIC_BOOTSTRAP"] === "1",
        });
        const found: string[] = [];
        for (const discovery of discoveries) {
          const hints = await discovery.find(undefined, NEVER);
          found.push(...hints.filter((hint) => hint.peerId !== "Qmme").flatMap((hint) => hint.multiaddrs));
        }
        // A limit of addresses is the caller's here: a search ends with the first that answers.
        assert.deepEqual([...new Set(found)].slice(0, name.startsWith("limit") ? 1 : 5), returns);
      }
      // Where the seed's readers deleted files of others (D-44), ours leave every one as it was.
      const left = Object.fromEntries(
        await Promise.all(
          (await readdir(folder)).map(async (file) => [file, await readFile(join(folder, file), "utf8")]),
        ),
      );
      const { "peer_old.json": _stale, ...kept } = left;
      assert.deepEqual(kept, files_after);
      assert.equal("peer_old.json" in left, "peer_old.json" in files_before);
    });
});

async function lastSeen(folder: string): Promise<string> {
  const [name = ""] = (await readdir(folder)).filter((file) => file.endsWith(".json"));
  const file = z
    .object({ last_seen: z.string() })
    .parse(JSON.parse(await readFile(join(folder, name), "utf8")));
  return file.last_seen;
}
