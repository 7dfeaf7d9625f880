/** Why peers are not seen or not reached, as far as a running node can tell. */
import { networkInterfaces } from "node:os";
import { UnreachableError } from "../errors.ts";
import { abortable, moveOnAfter, openNursery, rethrowIfCancelled } from "../nursery/index.ts";
import type { P2pHost } from "../p2p/index.ts";
import type { Discovery } from "../peer/discovery.ts";
import { explain, MAX_SKEW_MS } from "../peer/explain.ts";
import { byLevel, type Finding, fine, note, problem } from "../peer/finding.ts";
import { isAlive, type Peer } from "../peer/peer.ts";
import type { PeerTarget } from "../peer/rpc.ts";
import type { PeerDiagnosis } from "../peer/trace.ts";
import { VERSION } from "../version.ts";
import type { Foundation } from "./foundation.ts";
import type { Network } from "./rooms.ts";

/**
 * How long a check-up takes at most, and an examination with what follows it: the commands answer within ten seconds, and
 * the slowest mechanism, a rendezvous node that is down, tells so after five.
 */
const CHECK_MS = 6000;
const EXAMINE_MS = 6500;
const EXPLAIN_MS = 2000;
/** A report that names more peers than this is not read. */
const MAX_PEERS = 20;

/** Looks for what is wrong. */
export interface Doctor {
  checkUp(): Promise<readonly Finding[]>;
  why(target: PeerTarget): Promise<PeerDiagnosis>;
}

type Examinable = Pick<Discovery, "name" | "examine">;

/** A doctor for a node. */
export function createDoctor(foundation: Foundation, { host }: Network): Doctor {
  return {
    async checkUp() {
      if (host === undefined) return [P2P_OFF];
      // Loaded already, since there is a host.
      const { isLoopbackAddr } = await import("../p2p/index.ts");
      const slow = [
        ...host.discoveries.map((one) => checkDiscovery(one)),
        ...host.examinable.map((one) => () => examine(one, CHECK_MS)),
        checkTwin(host),
      ];
      const found: (readonly Finding[])[] = [];
      await openNursery(async (nursery) => {
        for (const check of slow) nursery.startSoon(async () => found.push(await check()), "check");
      });
      return [
        ...listening(foundation, host, isLoopbackAddr),
        ...order(foundation, host),
        ...(host.discoveries.length === 0 ? [NOWHERE_TO_LOOK] : []),
        ...found.flat(),
        ...peers(foundation),
      ];
    },
    async why(target) {
      if (host === undefined) throw new UnreachableError(P2P_OFF.what, { hint: P2P_OFF.next });
      const examination = await host.examine(target, EXAMINE_MS);
      const peerId = target.peerId ?? examination.answers[0]?.peerId;
      const options = { selfPeerId: host.peerId, version: VERSION, ownIps: ownIps(), peerId };
      const reached = examination.connections.length > 0 || examination.answers.length > 0;
      const sources = reached ? [] : [...host.discoveries, ...host.examinable];
      const states = await Promise.all(sources.map((one) => examine(one, EXPLAIN_MS)));
      const broken = states.flat().filter(({ level }) => level !== "ok");
      return { findings: [...explain(examination, options), ...broken].toSorted(byLevel), examination };
    },
  };
}

const P2P_OFF: Finding = {
  code: "p2p-off",
  level: "problem",
  what: "P2P is off on this node: it sees no peers, and no peer sees it",
  next: "mcpp serve --p2p",
};

const NOWHERE_TO_LOOK: Finding = {
  code: "no-mechanism",
  level: "note",
  what: "no way to find peers is configured, so only peers that connect here or are named by address are known",
  next: "mcpp serve --bootstrap <multiaddr>, or --announce-files <file of another node>",
};

/** Asks a discovery who is there, and what is wrong with it. */
function checkDiscovery(discovery: Discovery): () => Promise<readonly Finding[]> {
  return async () => {
    // Both at once: together they must not take longer than one.
    const [state, asked] = await Promise.all([examine(discovery, CHECK_MS), askDiscovery(discovery)]);
    return [...state, asked];
  };
}

async function askDiscovery(discovery: Discovery): Promise<Finding> {
  const { name } = discovery;
  const startedMs = performance.now();
  try {
    const outcome = await moveOnAfter(CHECK_MS, () =>
      abortable((signal) => discovery.find(undefined, signal)),
    );
    const ms = Math.round(performance.now() - startedMs);
    if (outcome.value === undefined) return problem("mechanism-silent", `${name}: no answer within ${ms} ms`);
    return fine("mechanism", `${name}: names ${outcome.value.length} peers (${ms} ms)`);
  } catch (error) {
    rethrowIfCancelled(error);
    const why = error instanceof Error ? error.message : String(error);
    return problem("mechanism-failed", `${name}: ${why}`, "mcpp config show");
  }
}

/** How something stands by its own account, within `limitMs`. */
async function examine(one: Examinable, limitMs: number): Promise<readonly Finding[]> {
  const { name } = one;
  try {
    const outcome = await moveOnAfter(limitMs, () =>
      abortable((signal) => one.examine?.(signal) ?? Promise.resolve([])),
    );
    return (
      outcome.value ?? [note("mechanism-slow", `${name}: did not tell within ${limitMs} ms how it stands`)]
    );
  } catch (error) {
    rethrowIfCancelled(error);
    const why = error instanceof Error ? error.message : String(error);
    return [problem("mechanism-failed", `${name}: ${why}`, "mcpp config show")];
  }
}

/** Looks for another process with this node's key, wherever anybody says that this node is. */
function checkTwin(host: P2pHost): () => Promise<Finding[]> {
  return async () => {
    const { trace } = await host.examine({ peerId: host.peerId }, CHECK_MS);
    const twins = trace.mechanisms
      .flatMap(({ dials }) => dials)
      .filter((dial) => dial.outcome === "own-identity");
    return twins.map(({ address }) => ({
      code: "duplicate-identity",
      level: "problem",
      what: `another node with this node's identity answers at ${address}`,
      next: "give one of them a data folder of its own: mcpp serve --data-dir <folder>",
    }));
  };
}

function listening(
  { config }: Foundation,
  host: P2pHost,
  isLoopbackAddr: (address: string) => boolean,
): readonly Finding[] {
  const bound = host.listening();
  const loopbackOnly = bound.length > 0 && bound.every((address) => isLoopbackAddr(address));
  const used = new Set(bound.flatMap((address) => /^\/ip[46]\/([^/]+)/.exec(address)?.[1] ?? []));
  const skipped = [...ownIps()].filter((ip) => !used.has(ip));
  const findings: Finding[] = [
    {
      code: "interfaces",
      level: "ok",
      what: `listens on ${[...used].join(", ") || "nothing"}${skipped.length > 0 ? `; not on ${skipped.join(", ")}` : ""}`,
    },
  ];
  const promised = config.announce.filter((address) => !isLoopbackAddr(address));
  if (loopbackOnly && promised.length > 0)
    findings.push({
      code: "listens-on-loopback-only",
      level: "problem",
      what: `others are told to come to ${promised.join(", ")}, but the node listens on loopback only`,
      next: "mcpp serve --listen /ip4/0.0.0.0/tcp/<port>",
    });
  else if (loopbackOnly)
    findings.push({
      code: "listens-on-loopback-only",
      level: "note",
      what: "the node listens on loopback only: nodes of other machines cannot connect to it",
      next: "mcpp serve --listen /ip4/0.0.0.0/tcp/<port>",
    });
  return findings;
}

function order({ config }: Foundation, { discoveries }: P2pHost): readonly Finding[] {
  const names = new Set(["known", ...discoveries.map(({ name }) => name)]);
  return config.searchOrder
    .filter((name) => !names.has(name))
    .map((name) => ({
      code: "mechanism-not-open",
      level: "note",
      what: `the search order names ${name}, which this node does not use`,
      next: "mcpp config show",
    }));
}

function peers({ table, clock }: Foundation): readonly Finding[] {
  const all = table.list().filter(({ methods }) => methods.some((method) => method !== "inbound"));
  const alive = all.filter((peer) => isAlive(peer, clock.epochMs()));
  const summary: Finding = {
    code: "peers",
    level: "ok",
    what: `${all.length} peers are known, ${alive.length} of them answer`,
  };
  return [summary, ...all.flatMap(peerFindings).slice(0, MAX_PEERS)];
}

function peerFindings({ peerId, refused, skewMs = 0, stale = false }: Peer): readonly Finding[] {
  const next = `mcpp why ${peerId}`;
  const findings: Finding[] = [];
  if (refused !== undefined)
    findings.push({
      code: "not-trusted",
      level: "problem",
      what: `${peerId} does not let this node work with it (${refused})`,
      next,
    });
  if (Math.abs(skewMs) > MAX_SKEW_MS)
    findings.push({
      code: "clock-skew",
      level: "problem",
      what: `the clock of ${peerId} is ${Math.round(Math.abs(skewMs) / 1000)} s ${skewMs > 0 ? "ahead of" : "behind"} ours`,
      next: "set the clocks of both machines: timedatectl set-ntp true",
    });
  if (stale)
    findings.push({ code: "peer-stale", level: "note", what: `${peerId} does not answer any more`, next });
  return findings;
}

/** Addresses of this machine's interfaces but loopback. */
function ownIps(): ReadonlySet<string> {
  const all = Object.values(networkInterfaces()).flatMap((rows) => rows ?? []);
  return new Set(all.filter(({ internal }) => !internal).map(({ address }) => address));
}
