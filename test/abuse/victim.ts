/** The node under attack, in a process of its own. It counts its log lines. */
import { privateKeyFromProtobuf } from "@libp2p/crypto/keys";
import * as z from "zod";
import { answerParent } from "../../bench/shared/child.ts";
import { createAuthority } from "../../src/authority/authority.ts";
import { systemClock } from "../../src/clock.ts";
import type { Logger } from "../../src/logger.ts";
import { sleepForever, openNursery } from "../../src/nursery/index.ts";
import { newIdentity, openP2pHost, type P2pHost } from "../../src/p2p/index.ts";
import { createPeerTable } from "../../src/peer/table.ts";
import { openMemoryStores } from "../../src/store/index.ts";
import { openLocalQueue } from "../../src/task/local.ts";
import { serveTaskMethods } from "../../src/task/methods.ts";
import { peerIdOf } from "../../src/p2p/identity.ts";
import { addressOf, echo, plainMethods, served } from "../p2p/hosts.ts";

const order = z.object({ friends: z.array(z.string()), limits: z.record(z.string(), z.number()) });
const lines: { readonly facts: Record<string, unknown>; readonly message: string }[] = [];
const note = (facts: object, message: string): void => void lines.push({ facts: { ...facts }, message });
const logger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: note,
  error: note,
  child: () => logger,
};

/** Never answers, so that its requests stay under way. */
const stuck = { ...echo, name: "test.stuck" };
/** Answers anybody with much. */
const much = { ...echo, name: "test.much" };

async function open(input: unknown): Promise<string> {
  const { friends, limits } = order.parse(input);
  const opened = Promise.withResolvers<P2pHost>();
  const allowPeers = friends.map((key) => peerIdOf(privateKeyFromProtobuf(Buffer.from(key, "base64"))));
  void openNursery(async (nursery) => {
    const clock = systemClock;
    const queue = openLocalQueue({ store: openMemoryStores().tasks, nursery, clock, logger });
    const methods = [
      ...plainMethods,
      ...serveTaskMethods(queue),
      served(stuck, () => sleepForever()),
      served(much, () => Promise.resolve({ value: "x".repeat(100_000) })),
    ];
    opened.resolve(
      await openP2pHost({
        privateKey: await newIdentity(),
        nursery,
        clock,
        logger,
        limits,
        authority: createAuthority({ allowPeers }),
        methods,
        table: createPeerTable({ clock }),
        // The abuse comes over loopback, and must not have its rights.
        trustLoopback: false,
      }),
    );
    await sleepForever();
  });
  host = await opened.promise;
  return addressOf(host);
}

let host: P2pHost | undefined;

answerParent({
  open,
  stats: () => host?.stats(),
  rss: () => {
    globalThis.gc?.();
    return process.memoryUsage.rss();
  },
  /** The lines since they were last cleared. */
  lines: () => lines,
  clear: () => lines.splice(0).length,
});
