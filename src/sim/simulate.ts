/**
 * Runs the scheduler, queue and assignment code of the product for many peers on virtual time.
 *
 * Everything that could differ between two runs comes from the seed: times, faults, who submits what where. So a seed that
 * shows a defect shows it again, step by step.
 */
import { createHash } from "node:crypto";
import { MAX_LIST_LIMIT } from "../task/queue.ts";
import type { TaskStore } from "../task/store.ts";
import type { TaskState } from "../task/task.ts";
import { Judge, type PolicyName } from "../workflow/scheduler/index.ts";
import { InvalidInputError } from "../errors.ts";
import { type Fault, FAULTS, type Mishap, mishapsOf, skewsOf } from "./faults.ts";
import { Referee, type Violation } from "./referee.ts";
import { Network, type NetworkCounts } from "./network.ts";
import { HEARTBEAT_MS, LEASE_MS, VirtualPeer, type World } from "./peer.ts";
import { Random } from "./random.ts";
import { Timeline } from "./time.ts";

/** What is simulated. */
export interface SimulationOptions {
  /** From which everything else follows. Default 1. */
  readonly seed?: number | undefined;
  /** Default 20; 1 … {@link MAX_PEERS}. */
  readonly peers?: number | undefined;
  /** Default 500; 0 … {@link MAX_TASKS}. */
  readonly tasks?: number | undefined;
  /** Default: all. */
  readonly faults?: ReadonlySet<Fault> | undefined;
  /** Default `hash`. */
  readonly policy?: PolicyName | undefined;
  /** Is given every line of what happens, in order. */
  readonly onLine?: ((line: string) => void) | undefined;
  /** Ends the simulation early, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Changes the stores of all peers, to see whether what that breaks is found. */
  readonly breakStore?: ((store: TaskStore) => TaskStore) | undefined;
}

/** How a simulation went. Times are virtual, in milliseconds. */
export interface SimulationReport {
  readonly seed: number;
  /** SHA-256 of all lines of the trace: equal for equal runs. */
  readonly trace: string;
  readonly violations: readonly Violation[];
  readonly submitted: number;
  readonly completed: number;
  /** How often tasks were given out; more than `completed` where faults made somebody begin anew. */
  readonly grants: number;
  readonly crashes: number;
  /** Until the last result was accepted. */
  readonly durationMs: number;
  /** From a submit until its result was accepted: the median, and what one in a hundred exceeds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly network: NetworkCounts;
}

/** More would only take longer: each peer talks to each. */
export const MAX_PEERS = 100;
/** Keeps the memory of one simulation below a few hundred megabytes. */
export const MAX_TASKS = 100_000;
/** Peers of a simulation that says nothing. */
export const DEFAULT_PEERS = 20;
/** Tasks of a simulation that says nothing: about what its peers can do in the time. */
export const DEFAULT_TASKS = 500;
/** Tasks are submitted within the first part of the time in which things go wrong. */
const SUBMITTING_MS = 12_000;
const TROUBLE_MS = 20_000;
/** Once all is well, some result must be accepted within so many leases, until there are all. */
const LEASES_TO_HEAL = 3;
/** Until everybody has heard of everybody again, in milliseconds. */
const SETTLING_MS = 4 * HEARTBEAT_MS;
/** How often the views of peers are compared, in milliseconds. */
const COMPARE_MS = 1000;
/** Owners of so many made-up tasks are compared. */
const PROBES: readonly string[] = Array.from({ length: 8 }, (_, n) =>
  createHash("sha256").update(`probe ${n}`).digest("hex"),
);
const TAGS = [["p2p-only"], ["p2p-eligible"], ["p2p-eligible", "code-generation"], []] as const;

/** Runs one simulation to its end. @throws InvalidInputError */
export async function simulate(options: SimulationOptions = {}): Promise<SimulationReport> {
  return new Simulation(options).run();
}

interface Submission {
  readonly name: string;
  readonly peer: number;
  readonly priority: number;
  readonly tags: (typeof TAGS)[number];
  readonly atMs: number;
  ackedAtMs: number | undefined;
}

class Simulation {
  readonly #seed: number;
  readonly #timeline = new Timeline();
  readonly #random: Random;
  readonly #referee: Referee;
  readonly #network: Network;
  readonly #peers: readonly VirtualPeer[];
  readonly #submissions: readonly Submission[];
  readonly #mishaps: readonly Mishap[];
  readonly #policy: PolicyName;
  readonly #digest = createHash("sha256");
  readonly #onLine: ((line: string) => void) | undefined;
  readonly #signal: AbortSignal | undefined;

  constructor({ seed = 1, peers = DEFAULT_PEERS, tasks = DEFAULT_TASKS, ...rest }: SimulationOptions) {
    whole("seed", seed, 0, 2 ** 32 - 1);
    whole("peers", peers, 1, MAX_PEERS);
    whole("tasks", tasks, 0, MAX_TASKS);
    const { faults = new Set(FAULTS), policy = "hash", onLine, signal, breakStore = (store) => store } = rest;
    this.#seed = seed;
    this.#policy = policy;
    this.#onLine = onLine;
    this.#signal = signal;
    this.#random = new Random(seed);
    const note = (line: string): void => this.#note(line);
    this.#referee = new Referee(() => this.#timeline.nowMs, note);
    const conditions = {
      delay: faults.has("delay"),
      duplicate: faults.has("duplicate"),
      loss: faults.has("loss"),
    };
    this.#network = new Network(this.#timeline, this.#random.branch(), conditions, note);
    this.#mishaps = mishapsOf(this.#random.branch(), peers, faults, TROUBLE_MS);
    this.#submissions = submissionsOf(this.#random.branch(), peers, tasks);
    const peerIds = Array.from({ length: peers }, (_, n) => `peer-${n}`);
    const skews = skewsOf(this.#random.branch(), peers, faults);
    const world: World = {
      timeline: this.#timeline,
      network: this.#network,
      referee: this.#referee,
      policy,
      peerIds,
      note,
      breakStore,
    };
    this.#peers = peerIds.map((id, n) => new VirtualPeer(id, world, this.#random.branch(), skews[n] ?? 0));
  }

  async run(): Promise<SimulationReport> {
    for (const mishap of this.#mishaps) this.#plan(mishap);
    for (const submission of this.#submissions) this.#planSubmission(submission);
    this.#timeline.at(TROUBLE_MS, () => this.#heal());
    this.#compareViews();
    await this.#untilDone();
    await this.#checkKept();
    this.#checkConverged();
    for (const peer of this.#peers) peer.crash();
    return this.#report();
  }

  /** Lets time pass until everything is done and all is well again, or nothing goes on any more. */
  async #untilDone(): Promise<void> {
    await turn();
    while (this.#timeline.next(this.#giveUpAtMs())) {
      await turn();
      this.#signal?.throwIfAborted();
      if (this.#isDone() && this.#timeline.nowMs > TROUBLE_MS + SETTLING_MS) return;
    }
  }

  #giveUpAtMs(): number {
    return Math.max(TROUBLE_MS, this.#referee.lastAcceptedAtMs) + LEASES_TO_HEAL * LEASE_MS;
  }

  #plan(mishap: Mishap): void {
    this.#timeline.at(mishap.atMs, () => this.#begin(mishap));
    if (mishap.kind !== "jump") this.#timeline.at(mishap.untilMs, () => this.#end(mishap));
  }

  #begin(mishap: Mishap): void {
    if (mishap.kind === "partition") {
      this.#note(`partition ${mishap.sides.join("")}`);
      this.#network.divide(new Map(this.#peers.map(({ peerId }, n) => [peerId, mishap.sides[n] ?? 0])));
      return;
    }
    const peer = this.#peers[mishap.peer];
    this.#note(`${mishap.kind} ${peer?.peerId}`);
    if (mishap.kind === "jump") peer?.jump(mishap.byMs);
    else if (mishap.kind === "crash") peer?.crash();
    else peer?.pause();
  }

  #end(mishap: Exclude<Mishap, { readonly kind: "jump" }>): void {
    this.#note(`end of ${mishap.kind}`);
    if (mishap.kind === "partition") this.#network.divide(undefined);
    else if (mishap.kind === "crash") this.#peers[mishap.peer]?.start();
    else this.#peers[mishap.peer]?.resume();
  }

  #heal(): void {
    this.#note("all is well");
    this.#network.heal();
    for (const peer of this.#peers) {
      peer.resume();
      peer.start();
    }
  }

  #planSubmission(submission: Submission): void {
    this.#timeline.at(submission.atMs, () => this.#submit(submission));
  }

  /** Submits, and again whenever the answer did not come because the process was or went down. */
  #submit(submission: Submission): void {
    const { name, peer: at, priority, tags } = submission;
    if (submission.ackedAtMs !== undefined) return;
    const peer = this.#peers[at];
    const task = { taskId: name, workflowId: "sim", name, tags: [...tags], priority };
    peer?.submit(task, () => {
      submission.ackedAtMs ??= this.#timeline.nowMs;
      this.#note(`submitted ${name} to ${peer.peerId}`);
    });
    this.#timeline.at(COMPARE_MS, () => this.#submit(submission));
  }

  #isDone(): boolean {
    return this.#referee.accepted.size >= this.#submissions.length;
  }

  /** Whoever sees the same peers names the same owners. */
  #compareViews(): void {
    const owners = new Map<string, { readonly peerId: string; readonly names: string }>();
    for (const { peerId, membership } of this.#peers) {
      if (!membership || this.#policy !== "hash") continue;
      const view = membership.candidates().map((one) => `${one.peerId}*${one.weight}`);
      const key = view.toSorted().join();
      // Whoever has not asked for work yet would add itself.
      if (!membership.candidates().some((one) => one.peerId === peerId)) continue;
      const ownerOf = new Judge({ membership, policy: this.#policy, clockRoot: () => "" }).ownersFor(peerId);
      const names = PROBES.map(ownerOf).join();
      const other = owners.get(key);
      if (other && other.names !== names)
        this.#referee.found(
          "agreed",
          `${peerId} and ${other.peerId} see the same peers and name other owners`,
        );
      owners.set(key, { peerId, names });
    }
    this.#timeline.at(COMPARE_MS, () => this.#compareViews());
  }

  #checkConverged(): void {
    if (this.#policy !== "hash") return;
    const views = new Set(
      this.#peers.map(({ membership }) =>
        membership
          ?.candidates()
          .map(({ peerId }) => peerId)
          .toSorted()
          .join(),
      ),
    );
    if (views.size > 1)
      this.#referee.found("agreed", `all is well, and there are ${views.size} views of who is there`);
  }

  /** Everything that was acknowledged is there, once, and done. */
  async #checkKept(): Promise<void> {
    for (const [n, peer] of this.#peers.entries()) {
      const states = await this.#statesAt(peer);
      for (const { name, peer: home, ackedAtMs } of this.#submissions) {
        if (home !== n || ackedAtMs === undefined) continue;
        const state = states.get(name);
        if (state === undefined) this.#referee.found("kept", `${name} was acknowledged and is gone`);
        else if (state !== "completed")
          this.#referee.found(
            "in-time",
            `${name} is ${state}, and for ${LEASES_TO_HEAL} leases nothing was done`,
          );
      }
    }
  }

  /** The state of each task of a peer, by the name under which it was submitted. */
  async #statesAt(peer: VirtualPeer): Promise<ReadonlyMap<string, TaskState>> {
    const states = new Map<string, TaskState>();
    let cursor: string | undefined;
    do {
      const page = await peer.tasks.list({ limit: MAX_LIST_LIMIT, cursor });
      for (const { state, idempotencyKey = "" } of page.tasks) {
        const name = idempotencyKey.slice(idempotencyKey.lastIndexOf(":") + 1);
        if (states.has(name)) this.#referee.found("once", `${name} is there twice`);
        states.set(name, state);
      }
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    return states;
  }

  #note(line: string): void {
    const stamped = `${this.#timeline.nowMs} ${line}`;
    this.#digest.update(stamped).update("\n");
    this.#onLine?.(stamped);
  }

  #report(): SimulationReport {
    const { accepted, violations, grants, lastAcceptedAtMs } = this.#referee;
    const waits = this.#waits();
    return {
      seed: this.#seed,
      trace: this.#digest.digest("hex"),
      violations,
      submitted: this.#submissions.filter(({ ackedAtMs }) => ackedAtMs !== undefined).length,
      completed: accepted.size,
      grants,
      crashes: this.#mishaps.filter(({ kind }) => kind === "crash").length,
      durationMs: lastAcceptedAtMs,
      p50Ms: waits[Math.floor(waits.length / 2)] ?? 0,
      p99Ms: waits[Math.floor(waits.length * 0.99)] ?? 0,
      network: this.#network.counts,
    };
  }

  #waits(): readonly number[] {
    const byName = new Map([...this.#referee.accepted.values()].map(({ name, atMs }) => [name, atMs]));
    return this.#submissions
      .map(({ name, atMs }) => (byName.get(name) ?? Infinity) - atMs)
      .toSorted((a, b) => a - b);
  }
}

function submissionsOf(random: Random, peers: number, tasks: number): Submission[] {
  return Array.from({ length: tasks }, (_, n) => ({
    name: `task-${n}`,
    peer: random.whole(0, peers - 1),
    priority: random.whole(1, 10),
    tags: random.pick(TAGS),
    atMs: random.whole(0, SUBMITTING_MS),
    ackedAtMs: undefined,
  }));
}

function whole(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new InvalidInputError(`${name} must be a whole number from ${least} to ${most}, not ${value}`);
}

/** Lets everything run that can run without time passing. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
