/** A small internet with nodes on it, and what tests ask of them. Everything goes with the test. */
import assert from "node:assert/strict";
import * as z from "zod";
import type { Client } from "../../src/client/index.ts";
import { type Internet, type Machine, openInternet, type Segment } from "../support/namespaces.ts";
import { type NodeProcess, temporaryFolder, type TemporaryFolder } from "../support/node-process.ts";

/** The port that every node here listens on. */
export const PORT = 4001;
/** Listens on all IPv4 addresses of its machine. */
export const LISTEN: readonly string[] = ["--listen", `/ip4/0.0.0.0/tcp/${PORT}`];
/** How long a test may take: nodes are processes, and this machine may be busy. */
export const LIMIT_MS = 120_000;
/** How long the network may take to become what a test waits for. */
const SOON_MS = 45_000;

/** A peer as `list_peers` shows it. */
export interface SeenPeer {
  readonly peer_id: string;
  readonly connected: boolean;
  readonly path?: string | undefined;
  readonly multiaddrs: readonly string[];
}

const peerSchema: z.ZodType<SeenPeer> = z.looseObject({
  peer_id: z.string(),
  connected: z.boolean(),
  path: z.string().optional(),
  multiaddrs: z.array(z.string()),
});
const peersSchema = z.object({ peers: z.array(peerSchema) });
const submittedSchema = z.object({ task_id: z.string() });
const waitedSchema = z.object({
  task: z.object({ status: z.string(), result: z.unknown() }),
  timed_out: z.boolean(),
});

/** A node on a machine. */
export interface Site {
  readonly machine: Machine;
  readonly folder: string;
  node: NodeProcess;
  readonly client: Client;
  readonly args: readonly string[];
}

/** Whose queue or cache is meant; nobody: that of the asked node itself. */
export interface Target {
  readonly remote_multiaddr?: string;
  readonly remote_peer_id?: string;
}

/** The internet of one test file. */
export class World {
  readonly internet: Internet = openInternet();
  readonly #folders: TemporaryFolder[] = [];
  readonly #sites: Site[] = [];

  /** A machine with one address. */
  machine(name: string, segment: Segment, address: string): Machine {
    const machine = this.internet.machine(name);
    machine.plug(segment, address);
    return machine;
  }

  /** A machine behind a router that translates addresses, on a network of its own. */
  home(name: string, wide: Segment, lan: string, wan: string): Machine {
    const segment = this.internet.segment(`lan-${name}`);
    const router = this.internet.machine(`nat${name}`);
    const inside = router.plug(segment, `${lan}.1/24`);
    router.translate(inside, router.plug(wide, `${wan}/24`));
    const machine = this.machine(name, segment, `${lan}.2/24`);
    machine.route(`${lan}.1`);
    return machine;
  }

  /** Starts a node on a machine. */
  async start(machine: Machine, args: readonly string[]): Promise<Site> {
    const folder = temporaryFolder();
    this.#folders.push(folder);
    const node = await machine.start(folder.path, args);
    const site = { machine, folder: folder.path, node, args, client: await machine.client(folder.path) };
    this.#sites.push(site);
    return site;
  }

  async close(): Promise<void> {
    for (const { client } of this.#sites) await client.close();
    for (const { node } of this.#sites) await node.kill();
    for (const folder of this.#folders) folder[Symbol.dispose]();
    this.internet[Symbol.dispose]();
  }

  /** What all nodes wrote, for a test that failed. */
  stderr(): string {
    return this.#sites.map(({ machine, node }) => `== ${machine.name}\n${node.stderr()}`).join("\n");
  }
}

/** Puts an echo on a queue. @returns its id */
export async function submit({ client }: Site, target: Target, payload: object): Promise<string> {
  const task = { task_type: "echo", model_name: "", payload };
  return submittedSchema.parse(await client.call("p2p_taskqueue_submit", { ...task, ...target })).task_id;
}

/** Waits until a task is completed. @returns its result */
export async function finish({ client }: Site, target: Target, taskId: string): Promise<unknown> {
  const wait = { task_id: taskId, timeout_s: 60, ...target };
  const answer = await client.call("p2p_taskqueue_wait_task", wait, { timeoutMs: 70_000 });
  const { task, timed_out: late } = waitedSchema.parse(answer);
  assert.equal(late, false, "the task was not done in time");
  assert.equal(task.status, "completed", JSON.stringify(task));
  return task.result;
}

/** What `site` knows about a peer. */
export async function peerSeenBy({ client }: Site, peerId: string): Promise<SeenPeer | undefined> {
  const { peers } = peersSchema.parse(await client.call("list_peers", { discover: false }));
  return peers.find((peer) => peer.peer_id === peerId);
}

/** How `site` says that it is connected to a peer; undefined if it is not. */
export async function pathTo(site: Site, peerId: string): Promise<string | undefined> {
  const peer = await peerSeenBy(site, peerId);
  return peer?.connected === true ? peer.path : undefined;
}

/** The addresses that a node tells others. */
export async function addressesOf({ client }: Site): Promise<readonly string[]> {
  const status = await client.call("p2p_taskqueue_status", { detail: true });
  return z.object({ multiaddrs: z.array(z.string()) }).parse(status).multiaddrs;
}

/** Waits until something is so. */
export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const lastMs = performance.now() + SOON_MS;
  while (!(await condition())) {
    if (performance.now() > lastMs) throw new Error(`not within ${SOON_MS} ms: ${what}`);
    await pause(100);
  }
}

/** Lets the network be for a while. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
