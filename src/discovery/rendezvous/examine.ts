/** How this node stands with its rendezvous nodes, for people. */
import type { Clock } from "../../clock.ts";
import { UnreachableError } from "../../errors.ts";
import { openNursery, rethrowIfCancelled } from "../../nursery/index.ts";
import { type Finding, fine, note, problem } from "../../peer/finding.ts";
import type { RendezvousPoint } from "./point.ts";

/** Connects to each rendezvous node, and tells what came of registering there. */
export async function examinePoints(
  points: readonly RendezvousPoint[],
  namespace: string,
  clock: Clock,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  await openNursery(async (all) => {
    for (const point of points)
      all.startSoon(async () => findings.push(await examinePoint(point, namespace, clock)));
  });
  return findings;
}

async function examinePoint(point: RendezvousPoint, namespace: string, clock: Clock): Promise<Finding> {
  const where = `the rendezvous node ${point.address.toString()}`;
  const startedMs = clock.now();
  try {
    await point.connect();
  } catch (error) {
    rethrowIfCancelled(error);
    const why = error instanceof Error ? error.message : String(error);
    return problem(
      "rendezvous-unreachable",
      `rendezvous: ${why}`,
      `mcpp why ${point.address.toString()}; it must run with --rendezvous-server`,
    );
  }
  const reached = `rendezvous: ${where} is reached (${Math.round(clock.now() - startedMs)} ms)`;
  const { refusal, registeredUntilMs = -Infinity } = point;
  const leftMs = registeredUntilMs - clock.now();
  if (leftMs > 0)
    return fine(
      "rendezvous-registered",
      `${reached}, and this node stands there under ${namespace} for ${Math.round(leftMs / 1000)} s`,
    );
  if (refusal === undefined)
    return note(
      "rendezvous-not-registered",
      `${reached}, but this node does not stand there: it has no address that others could use, or has just begun`,
      "mcpp serve --listen /ip4/0.0.0.0/tcp/<port>",
    );
  if (isOtherKind(refusal))
    return problem(
      "rendezvous-none",
      `${reached}, but is no rendezvous node`,
      "start it with --rendezvous-server, or name another one: --rendezvous <multiaddr>",
    );
  if (refusal instanceof UnreachableError)
    return note("rendezvous-not-registered", `${reached}, but not registered yet: ${refusal.message}`);
  return problem(
    "rendezvous-refused",
    `${reached}, but does not register this node: ${refusal.message}`,
    "give both nodes the same token (--token-file), and look at the log of the rendezvous node",
  );
}

/** libp2p found that the peer does not know the protocol. */
function isOtherKind({ cause }: Error): boolean {
  return cause instanceof Error && cause.name === "UnsupportedProtocolError";
}
