/** Looks at a peer from all sides: every mechanism is asked, every address dialled, and whoever answers is asked who it is. */
import type { Connection } from "@libp2p/interface";
import { errorFacts } from "../errors.ts";
import { isCancelled, moveOnAfter, openNursery, rethrowIfCancelled } from "../nursery/index.ts";
import { nodeHeartbeat, nodeStatus } from "../peer/methods.ts";
import type { PeerTarget } from "../peer/rpc.ts";
import type { Examination, PeerAnswer } from "../peer/trace.ts";
import type { Clock } from "../clock.ts";
import type { Dialer } from "./dialer.ts";
import type { P2pRpc } from "./rpc.ts";
import { pathOf } from "./path.ts";
import { classOf } from "./address-scope.ts";

/** What examining needs. */
export interface ExamineOptions {
  readonly dialer: Dialer;
  readonly rpc: P2pRpc;
  readonly clock: Clock;
}

/** How long an examination takes if its caller names nothing: `mcpp why` answers within ten seconds. */
export const EXAMINE_MS = 8000;
/** How long whoever answered may take to say who it is. */
const ASK_MS = 3000;

/**
 * Examines `target`. What has not ended within `timeoutMs` is shown as it stands. Connections that are made for this are
 * closed again, except the first one to a peer to which there was none.
 *
 * @throws InvalidInputError if the target is malformed
 */
export async function examine(
  target: PeerTarget,
  { dialer, rpc, clock }: ExamineOptions,
  timeoutMs: number = EXAMINE_MS,
): Promise<Examination> {
  const record = dialer.newRecord();
  const answers: PeerAnswer[] = [];
  const before = dialer.connectionsTo(target);
  const made: Connection[] = [];
  const ask = async (connection: Connection): Promise<void> => {
    answers.push(await askWho(connection, target, { rpc, clock }));
  };
  try {
    await moveOnAfter(timeoutMs, () =>
      openNursery(async (nursery) => {
        for (const connection of before) nursery.startSoon(() => ask(connection));
        await dialer.dialAll(target, record, async (connection) => {
          made.push(connection);
          await ask(connection);
        });
      }),
    );
  } finally {
    const spare = before.length > 0 ? made : made.slice(1);
    for (const connection of spare) connection.abort(new Error("it was examined"));
  }
  return {
    trace: record.trace,
    connections: before.map((connection) => ({
      address: connection.remoteAddr.toString(),
      class: classOf(connection.remoteAddr),
      path: pathOf(connection),
      direction: connection.direction,
    })),
    answers,
  };
}

async function askWho(
  connection: Connection,
  target: PeerTarget,
  { rpc, clock }: Pick<ExamineOptions, "rpc" | "clock">,
): Promise<PeerAnswer> {
  const address = connection.remoteAddr.toString();
  const peerId = connection.remotePeer.toString();
  const path = pathOf(connection);
  try {
    return await rpc.over(connection, target, async (ask, proof) => {
      const startedMs = clock.now();
      const atMs = clock.epochMs();
      const status = await ask(nodeStatus, { detail: false }, ASK_MS);
      const rttMs = clock.now() - startedMs;
      const theirs = typeof status["at_ms"] === "number" ? status["at_ms"] : undefined;
      const facts = { address, peerId, path, proof, rttMs, status };
      const skewMs = theirs === undefined ? undefined : Math.round(theirs - (atMs + rttMs / 2));
      return {
        ...facts,
        skewMs,
        refused: await refusalOf(ask(nodeHeartbeat, { peerId: rpc.ownPeerId }, ASK_MS)),
      };
    });
  } catch (error) {
    rethrowIfCancelled(error);
    const { code, message } = errorFacts(error);
    return { address, peerId, path, proof: "unasked", failed: { code, message } };
  }
}

/** Why it does not let this node work with it; undefined if it does. */
async function refusalOf(asked: Promise<unknown>): Promise<string | undefined> {
  try {
    await asked;
    return undefined;
  } catch (error) {
    if (isCancelled(error)) throw error;
    return errorFacts(error).code;
  }
}
