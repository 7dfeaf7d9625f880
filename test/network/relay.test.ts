/** Two nodes behind different NATs, and a relay that both can reach. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import * as z from "zod";
import type { Client } from "../../src/client/index.ts";
import { type Internet, type Machine, openInternet, whyNoNamespaces } from "../support/namespaces.ts";
import { type NodeProcess, temporaryFolder, type TemporaryFolder } from "../support/node-process.ts";

const LISTEN = ["--listen", "/ip4/0.0.0.0/tcp/4001"];
const LIMIT_MS = 120_000;
const peersSchema = z.object({
  peers: z.array(z.looseObject({ peer_id: z.string(), connected: z.boolean(), path: z.string().optional() })),
});
const submittedSchema = z.object({ task_id: z.string() });
const waitedSchema = z.object({
  task: z.object({ status: z.string(), result: z.unknown() }),
  timed_out: z.boolean(),
});

async function pathTo(client: Client, peerId: string): Promise<string | undefined> {
  const { peers } = peersSchema.parse(await client.call("list_peers", { discover: false }));
  return peers.find((peer) => peer.peer_id === peerId && peer.connected)?.path;
}

async function submit(client: Client, target: object, payload: object): Promise<string> {
  const task = { task_type: "echo", model_name: "", payload };
  return submittedSchema.parse(await client.call("p2p_taskqueue_submit", { ...task, ...target })).task_id;
}

async function finish(client: Client, target: object, taskId: string): Promise<unknown> {
  const wait = { task_id: taskId, timeout_s: 60, ...target };
  const { task, timed_out: late } = waitedSchema.parse(
    await client.call("p2p_taskqueue_wait_task", wait, { timeoutMs: 70_000 }),
  );
  assert.equal(late, false);
  assert.equal(task.status, "completed", JSON.stringify(task));
  return task.result;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise<void>((resolve) => setTimeout(resolve, 100));
}

describe("two nodes behind NATs with a relay", { skip: whyNoNamespaces() ?? false }, () => {
  let internet: Internet;
  let relayMachine: Machine;
  let relay: NodeProcess;
  let relayAddress: string;
  const folders: TemporaryFolder[] = [];
  const nodes: NodeProcess[] = [];
  const clients: Client[] = [];
  let owner: NodeProcess;
  let worker: NodeProcess;
  let atOwner: Client;
  let atWorker: Client;
  let ownerAtRelay: string;

  const folder = (): string => {
    const made = temporaryFolder();
    folders.push(made);
    return made.path;
  };
  const home = (name: string, lan: string, wan: string): Machine => {
    const segment = internet.segment(`lan-${name}`);
    const router = internet.machine(`nat${name}`);
    const inside = router.plug(segment, `${lan}.1/24`);
    const outside = router.plug(wideArea, `${wan}/24`);
    router.translate(inside, outside);
    const machine = internet.machine(name);
    machine.plug(segment, `${lan}.2/24`);
    machine.route(`${lan}.1`);
    return machine;
  };
  let wideArea: ReturnType<Internet["segment"]>;
  let relayFolder: string;

  before(async () => {
    internet = openInternet();
    wideArea = internet.segment("wan");
    relayMachine = internet.machine("r");
    relayMachine.plug(wideArea, "45.10.0.1/24");
    relayFolder = folder();
    relay = await relayMachine.start(relayFolder, [...LISTEN, "--relay", "--workers", "0"]);
    relayAddress = `/ip4/45.10.0.1/tcp/4001/p2p/${relay.peer_id}`;
    const [ownerFolder, workerFolder] = [folder(), folder()];
    const ownerMachine = home("a", "10.1.0", "45.10.0.11");
    owner = await ownerMachine.start(ownerFolder, [...LISTEN, "--relay-via", relayAddress, "--workers", "0"]);
    nodes.push(owner);
    ownerAtRelay = `${relayAddress}/p2p-circuit/p2p/${owner.peer_id}`;
    const workerMachine = home("b", "10.2.0", "45.10.0.12");
    worker = await workerMachine.start(workerFolder, [
      ...[...LISTEN, "--relay-via", relayAddress],
      ...["--work-for", ownerAtRelay],
    ]);
    nodes.push(worker);
    atOwner = await ownerMachine.client(ownerFolder);
    atWorker = await workerMachine.client(workerFolder);
    clients.push(atOwner, atWorker);
  });

  after(async () => {
    for (const client of clients) await client.close();
    for (const node of [...nodes, relay]) await node.kill();
    for (const made of folders) made[Symbol.dispose]();
    internet[Symbol.dispose]();
  });

  it(
    "submit and complete a hundred tasks, and say that they are relayed",
    { timeout: LIMIT_MS },
    async () => {
      const target = { remote_multiaddr: ownerAtRelay };
      const ids = await Promise.all(
        Array.from({ length: 100 }, (_, number) => submit(atWorker, target, { number })),
      );
      const results = await Promise.all(ids.map((id) => finish(atWorker, target, id)));
      assert.equal(new Set(results.map((result) => JSON.stringify(result))).size, 100);
      assert.equal(await pathTo(atWorker, owner.peer_id), "relayed");
      assert.equal(await pathTo(atOwner, worker.peer_id), "relayed");
      assert.equal(await pathTo(atOwner, relay.peer_id), "direct");
    },
  );

  it("pass 64 MiB through the relay in pieces, and every byte arrives", { timeout: LIMIT_MS }, async () => {
    const target = { remote_multiaddr: ownerAtRelay };
    const bytes = randomBytes(64 * 1024 * 1024);
    const pieceBytes = 4 * 1024 * 1024;
    const sent = createHash("sha256").update(bytes).digest("hex");
    const got = createHash("sha256");
    const startedMs = performance.now();
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const piece = bytes.subarray(at, at + pieceBytes).toString("base64");
      const result = await finish(atWorker, target, await submit(atWorker, target, { piece }));
      const { echo } = z.object({ echo: z.object({ piece: z.string() }) }).parse(result);
      got.update(Buffer.from(echo.piece, "base64"));
    }
    assert.equal(got.digest("hex"), sent);
    assert.equal(await pathTo(atWorker, owner.peer_id), "relayed");
    console.log(
      `64 MiB through the relay, four times each way: ${Math.round(performance.now() - startedMs)} ms`,
    );
  });

  it(
    "go on working within 15 s after the relay was killed and started again",
    { timeout: LIMIT_MS },
    async () => {
      await relay.kill();
      // Long enough for every retry to have reached its longest pause.
      await until(async () => (await pathTo(atOwner, relay.peer_id)) === undefined);
      await new Promise<void>((resolve) => setTimeout(resolve, 8000));
      const id = await submit(atOwner, {}, { after: "the relay" });
      relay = await relayMachine.start(relayFolder, [...LISTEN, "--relay", "--workers", "0"]);
      const backMs = performance.now();
      await finish(atOwner, {}, id);
      const tookMs = Math.round(performance.now() - backMs);
      console.log(`work resumed ${tookMs} ms after the relay was back`);
      assert.ok(tookMs < 15_000, `${tookMs} ms`);
      const { multiaddrs } = z
        .object({ multiaddrs: z.array(z.string()) })
        .parse(await atOwner.call("p2p_taskqueue_status", { detail: true }));
      assert.ok(multiaddrs.includes(ownerAtRelay), multiaddrs.join(" "));
    },
  );
});
