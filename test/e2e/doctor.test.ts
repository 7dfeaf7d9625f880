/** Faults that are put in on purpose, and whether `mcpp doctor` or `p2p_why` names each of them. */
import assert from "node:assert/strict";
import { chmod, copyFile, mkdir, writeFile } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { systemClock } from "../../src/clock.ts";
import { loadConfig } from "../../src/config.ts";
import { connect } from "../../src/connect.ts";
import { openDataFolder } from "../../src/data-folder.ts";
import { createNode, type Node, type NodeOptions } from "../../src/node.ts";
import { newIdentity, peerIdOf } from "../../src/p2p/index.ts";
import { createSwarmKey } from "../../src/p2p/swarm-key.ts";
import { mcpp } from "../cli/support/mcpp.ts";
import { cleanEnvironment, temporaryFolder } from "../support/node-process.ts";

const LIMIT = { timeout: 120_000 };
const HOUR_MS = 3_600_000;
const TOKENS = ["first token ".repeat(4), "second token ".repeat(4)].map((text) => text.replaceAll(" ", "-"));

const folder = temporaryFolder();
const closers: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closers.toReversed()) await close();
  folder[Symbol.dispose]();
});

let count = 0;

/** A path in the test's folder that nobody else has. */
function fresh(name: string): string {
  return join(folder.path, `${name}-${(count += 1)}`);
}

async function node(flags: Record<string, unknown> = {}, options: NodeOptions = {}): Promise<Node> {
  const dataDir = fresh("node");
  const loaded = loadConfig({
    flags: { http: false, workers: "0", logLevel: "silent", dataDir, ...flags },
    env: cleanEnvironment(folder.path),
    cwd: folder.path,
  });
  const opened = await createNode(loaded.config, options);
  closers.push(() => opened.close());
  return opened;
}

/** What a tool of `of` finds. */
async function ask(of: Node, tool: string, args: Record<string, unknown> = {}): Promise<readonly string[]> {
  const client = await connect(of);
  try {
    const answer = await client.call(tool, args, { timeoutMs: 30_000 });
    return problemsIn(answer["findings"]);
  } finally {
    await client.close();
  }
}

/** What `mcpp doctor` finds, and with which exit code. */
async function doctor(args: readonly string[], dataDir: string = fresh("data")): Promise<readonly string[]> {
  const { code, stdout, stderr } = await mcpp(folder.path, [
    "doctor",
    "--json",
    "--data-dir",
    dataDir,
    ...args,
  ]);
  assert.match(stdout, /^\{/, stderr);
  const answer: unknown = JSON.parse(stdout);
  assert.ok(typeof answer === "object" && answer !== null && "findings" in answer);
  assert.equal(code, 1);
  return problemsIn(answer.findings);
}

function problemsIn(findings: unknown): readonly string[] {
  assert.ok(Array.isArray(findings));
  return findings.flatMap((row: unknown) =>
    typeof row === "object" && row !== null && "level" in row && "code" in row && row.level === "problem"
      ? [String(row.code)]
      : [],
  );
}

async function listening(host = "127.0.0.1"): Promise<{ readonly port: number; readonly server: Server }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on("error", () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  closers.push(async () => {
    for (const socket of sockets) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return { port: address.port, server };
}

async function deadAddress(host = "127.0.0.1"): Promise<string> {
  const { port, server } = await listening(host);
  await new Promise((resolve) => server.close(resolve));
  return `/ip4/${host}/tcp/${port}/p2p/${peerIdOf(await newIdentity())}`;
}

function lanIp(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((rows) => rows ?? []);
  return all.find(({ internal, family }) => !internal && family === "IPv4")?.address;
}

const first = (of: Node): string => of.multiaddrs[0] ?? "";
let asker: Promise<Node> | undefined;
const anyNode = (): Promise<Node> => (asker ??= node());

/** Each fault with the code that names it. */
const FAULTS: readonly (readonly [string, string, () => Promise<readonly string[]>])[] = [
  [
    "a peer that is down",
    "address-refused",
    async () => ask(await anyNode(), "p2p_why", { peer: await deadAddress() }),
  ],
  [
    "a port that accepts and never speaks",
    "address-silent",
    async () => {
      const { port } = await listening();
      const peer = `/ip4/127.0.0.1/tcp/${port}/p2p/${peerIdOf(await newIdentity())}`;
      return ask(await anyNode(), "p2p_why", { peer });
    },
  ],
  [
    "another peer at the address",
    "wrong-peer",
    async () => {
      const other = peerIdOf(await newIdentity());
      const peer = first(await node()).replace(/[^/]+$/, other);
      return ask(await anyNode(), "p2p_why", { peer });
    },
  ],
  [
    "another shared token",
    "token-mismatch",
    async () => {
      const [a, b] = [await tokenNode(0), await tokenNode(1)];
      return ask(a, "p2p_why", { peer: first(b) });
    },
  ],
  [
    "an announce file that was left behind",
    "announce-stale",
    async () => {
      const file = fresh("stale");
      const peerId = peerIdOf(await newIdentity());
      const { hostname } = await import("node:os");
      const record = {
        peer_id: peerId,
        multiaddr: `/ip4/127.0.0.1/tcp/1/p2p/${peerId}`,
        pid: 2 ** 22 - 1,
        host: hostname(),
        started_at: "1",
      };
      await writeFile(file, JSON.stringify(record));
      const a = await node({ announceFiles: [file] });
      assert.ok((await ask(a, "p2p_why", { peer: peerId })).includes("announce-stale"));
      return ask(a, "p2p_doctor");
    },
  ],
  [
    "a damaged announce file",
    "announce-damaged",
    async () => {
      const file = fresh("damaged");
      await writeFile(file, '{"peer_id": "12D3');
      return doctor(["--announce-files", file]);
    },
  ],
  [
    "an announce file that cannot be read",
    "announce-unreadable",
    async () => {
      const file = fresh("unreadable");
      await mkdir(file);
      return doctor(["--announce-files", file]);
    },
  ],
  ["P2P that is off", "p2p-off", async () => ask(await node({ p2p: false }), "p2p_doctor")],
  [
    "an announced address where nobody listens, because the node listens on loopback",
    "listens-on-loopback-only",
    async () => ask(await node({ announce: ["/ip4/192.0.2.7/tcp/4001"] }), "p2p_doctor"),
  ],
  [
    "a LAN address of a node that listens on loopback",
    "not-listening-on-lan",
    async () => {
      const ip = lanIp();
      // Without any interface there is no such address to get wrong.
      if (ip === undefined) return ["not-listening-on-lan"];
      return ask(await anyNode(), "p2p_why", { peer: first(await node()).replace("127.0.0.1", ip) });
    },
  ],
  [
    "a port that is in use",
    "port-in-use",
    async () => {
      const { port } = await listening();
      return doctor(["--listen", `/ip4/127.0.0.1/tcp/${port}`]);
    },
  ],
  [
    "a data folder that another process holds",
    "folder-locked",
    async () => {
      const dir = fresh("held");
      const held = await openDataFolder(dir);
      closers.push(() => held.close());
      return doctor(["--port", "1"], dir);
    },
  ],
  [
    "a clock that is an hour off",
    "clock-skew",
    async () => {
      const late = { ...systemClock, epochMs: () => Date.now() - HOUR_MS };
      const b = await node({}, { clock: { ...late, now: () => performance.now() } });
      return ask(await anyNode(), "p2p_why", { peer: first(b) });
    },
  ],
  ["a key that two nodes have", "duplicate-identity", () => twins()],
  [
    "another swarm key",
    "swarm-key-mismatch",
    async () => {
      const [a, b] = [await keyNode(), await keyNode()];
      return ask(a, "p2p_why", { peer: first(b) });
    },
  ],
  [
    "a relay that is down",
    "relay-unreachable",
    async () => {
      const relayVia = [await deadAddress()];
      const a = await node({ relayVia });
      return eventually(() => ask(a, "p2p_doctor"), "relay-unreachable");
    },
  ],
  [
    "a relay that is none",
    "relay-no-place",
    async () => {
      const a = await node({ relayVia: [first(await node())] });
      return eventually(() => ask(a, "p2p_doctor"), "relay-no-place");
    },
  ],
  [
    "a rendezvous node that is down",
    "rendezvous-unreachable",
    async () => ask(await node({ rendezvous: [await deadAddress()] }), "p2p_doctor"),
  ],
  [
    "a rendezvous node that is none",
    "rendezvous-none",
    async () => {
      const a = await node({ rendezvous: [first(await node())] });
      return eventually(() => ask(a, "p2p_doctor"), "rendezvous-none");
    },
  ],
  [
    "a DHT whose entry is down",
    "dht-alone",
    async () => ask(await node({ dht: "private", dhtBootstrap: [await deadAddress()] }), "p2p_doctor"),
  ],
  [
    "a folder of peers that others may write into",
    "peer-folder-unusable",
    async () => {
      const peerFolder = fresh("peers");
      await mkdir(peerFolder);
      await chmod(peerFolder, 0o777);
      return ask(await node({ peerFolder }), "p2p_doctor");
    },
  ],
  ["a bootstrap address that is none", "config-invalid", () => doctor(["--bootstrap", "192.0.2.1:4001"])],
  [
    "a bootstrap address with a number too large",
    "address-malformed",
    () => doctor(["--bootstrap", "/ip4/192.0.2.999/tcp/4001"]),
  ],
  [
    "a bootstrap name that nobody knows",
    "dns-unknown",
    () => doctor(["--bootstrap", "/dns4/no-such-host.invalid/tcp/4001"]),
  ],
];

/** Each call has a key of its own. */
async function keyNode(): Promise<Node> {
  const swarmKeyFile = fresh("swarm-key");
  await createSwarmKey(swarmKeyFile);
  return node({ swarmKeyFile });
}

/** Asks until the finding is there: a first attempt may be under way. */
async function eventually(look: () => Promise<readonly string[]>, code: string): Promise<readonly string[]> {
  for (const until = performance.now() + LIMIT.timeout / 4; ;) {
    const found = await look();
    if (found.includes(code) || performance.now() > until) return found;
  }
}

async function tokenNode(which: number): Promise<Node> {
  const file = fresh("token");
  await writeFile(file, TOKENS[which] ?? "", { mode: 0o600 });
  return node({ tokenFile: file });
}

/** A node and its copy; what the node itself finds, and what a third one finds of them. */
async function twins(): Promise<readonly string[]> {
  const [dirA, dirB] = [fresh("twin"), fresh("twin")];
  const [fileA, fileB] = [fresh("announce"), fresh("announce")];
  const a = await node({ dataDir: dirA, announceFile: fileA, announceFiles: [fileB] });
  await mkdir(dirB);
  await copyFile(join(dirA, "identity.key"), join(dirB, "identity.key"));
  await node({ dataDir: dirB, announceFile: fileB });
  const own = await ask(a, "p2p_doctor");
  const third = await node({ announceFiles: [fileA, fileB] });
  const seen = await ask(third, "p2p_why", { peer: a.peerId });
  assert.ok(own.includes("duplicate-identity"), `the node itself found ${own.join(", ")}`);
  return seen;
}

describe("a fault", LIMIT, () => {
  for (const [name, code, inject] of FAULTS) {
    it(`is named: ${name}`, async () => {
      const found = await inject();
      assert.ok(found.includes(code), `found ${found.join(", ") || "nothing"}`);
    });
  }

  it("is not named where there is none: two nodes that find each other are well", async () => {
    const file = fresh("announce");
    const b = await node({ announceFile: file });
    const a = await node({ announceFiles: [file] });
    assert.deepEqual(await ask(a, "p2p_why", { peer: b.peerId }), []);
    assert.deepEqual(await ask(a, "p2p_doctor"), []);
  });
});
