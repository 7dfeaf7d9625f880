import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { announceFileDiscovery, readAnnounce, writeAnnounce } from "../../src/discovery/index.ts";
import { processStartTime } from "../../src/process.ts";
import { discoveryConformance } from "./conformance.ts";

const peerId = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
const otherId = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo";
const multiaddr = `/ip4/127.0.0.1/tcp/9710/p2p/${peerId}`;
const facts = { peerId, multiaddrs: [multiaddr, `/ip4/192.0.2.1/tcp/9710/p2p/${peerId}`] };

discoveryConformance("an announce file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "mcpp-announce-"));
  const file = join(folder, "announce.json");
  await writeAnnounce(file, facts);
  const discovery = announceFileDiscovery([join(folder, "missing.json"), file]);
  return { discovery, peerId, multiaddr, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
});

describe("an announce file", () => {
  let folder = "";
  let file = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "mcpp-announce-"));
    file = join(folder, "announce.json");
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("holds the seed's fields, and who wrote it", async () => {
    await writeAnnounce(file, { ...facts, mcpUrl: "http://127.0.0.1:8000/mcp" });
    const content: unknown = JSON.parse(await readFile(file, "utf8"));
    assert.deepEqual(content, {
      peer_id: peerId,
      multiaddr,
      multiaddrs: facts.multiaddrs,
      pid: process.pid,
      host: hostname(),
      started_at: processStartTime(process.pid),
      mcp_url: "http://127.0.0.1:8000/mcp",
    });
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(folder), ["announce.json"]);
  });

  it("that is a pipe or a device holds nobody up", { timeout: 10_000 }, async () => {
    assert.equal(spawnSync("mkfifo", [file]).status, 0);
    const discovery = announceFileDiscovery([file, "/dev/zero", folder]);
    assert.deepEqual(await discovery.find(undefined, new AbortController().signal), []);
  });

  it("with a thousand addresses, or as large as a disk, is no announcement of anybody", async () => {
    const multiaddrs = Array.from(
      { length: 1000 },
      (_, port) => `/ip4/10.0.0.1/tcp/${port + 1}/p2p/${peerId}`,
    );
    const signal = new AbortController().signal;
    await writeFile(file, JSON.stringify({ peer_id: peerId, multiaddr, multiaddrs }));
    const [hint] = await announceFileDiscovery([file]).find(undefined, signal);
    assert.ok((hint?.multiaddrs.length ?? 0) <= 16);
    await truncate(file, 1024 ** 4);
    assert.deepEqual(await announceFileDiscovery([file]).find(undefined, signal), []);
  });

  it("of the seed, with two fields only, is read too", async () => {
    await writeFile(file, JSON.stringify({ peer_id: peerId, multiaddr }));
    const hints = await announceFileDiscovery([file]).find(undefined, new AbortController().signal);
    assert.deepEqual(hints, [{ peerId, multiaddrs: [multiaddr], method: "announce-file" }]);
  });

  it("of a process that has ended is ignored, also if its pid was given again; one of another machine is not", async () => {
    const child = spawn(process.execPath, ["-e", ""], { stdio: "ignore" });
    await once(child, "exit");
    const dead = { peer_id: peerId, multiaddr, pid: child.pid, host: hostname() };
    await writeFile(file, JSON.stringify(dead));
    assert.equal(await readAnnounce(file), undefined);

    await writeFile(file, JSON.stringify({ ...dead, pid: process.pid, started_at: "another start" }));
    assert.equal(await readAnnounce(file), undefined);
    await writeFile(
      file,
      JSON.stringify({ ...dead, pid: process.pid, started_at: processStartTime(process.pid) }),
    );
    assert.equal((await readAnnounce(file))?.peer_id, peerId);
    await writeFile(file, JSON.stringify({ ...dead, host: `not-${hostname()}` }));
    assert.equal((await readAnnounce(file))?.peer_id, peerId);
  });

  it("is removed by its writer, once, and only if it is still the writer's", async () => {
    const first = await writeAnnounce(file, facts);
    const second = await writeAnnounce(file, { ...facts, peerId: otherId });
    await first.remove();
    assert.equal((await readAnnounce(file))?.peer_id, otherId);
    await second.remove();
    await second.remove();
    assert.deepEqual(await readdir(folder), []);
  });

  it("that is damaged, too large, a folder or misleading hides no other", async () => {
    const good = join(folder, "good.json");
    await writeAnnounce(good, facts);
    const bad = [
      "{",
      "[]",
      '{"peer_id":7}',
      JSON.stringify({ peer_id: otherId, multiaddr: "nonsense" }),
      "x".repeat(100_000),
    ];
    const misleading = JSON.stringify({ peer_id: otherId, multiaddr });
    for (const content of [...bad, misleading]) {
      await writeFile(file, content);
      const hints = await announceFileDiscovery([folder, file, good]).find(
        undefined,
        new AbortController().signal,
      );
      assert.deepEqual(
        hints.map((hint) => hint.peerId),
        [peerId],
      );
    }
  });

  it("is whole whenever it is read, however often it is written", async () => {
    await writeAnnounce(file, facts);
    const writer = (async () => {
      for (let i = 0; i < 50; i++) await writeAnnounce(file, { ...facts, mcpUrl: "x".repeat(i * 100) });
      return true;
    })();
    let reads = 0;
    while (!(await Promise.race([writer, Promise.resolve(false)]))) {
      assert.equal((await readAnnounce(file))?.peer_id, peerId);
      reads += 1;
    }
    assert.ok(reads > 0);
  });

  it("cannot be written where there is no folder, and says where", async () => {
    await assert.rejects(writeAnnounce(join(folder, "no", "a.json"), facts), {
      code: "E_CONFIG",
      message: /no\/a\.json/,
    });
    await assert.rejects(writeAnnounce(file, { peerId, multiaddrs: [] }), TypeError);
  });
});
