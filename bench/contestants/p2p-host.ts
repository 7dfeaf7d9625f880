/** Our host with one method that answers what it is given, for both ends of a measurement. */
import * as z from "zod";
import { createAuthority } from "../../src/authority/authority.ts";
import { systemClock } from "../../src/clock.ts";
import { silentLogger } from "../../src/logger.ts";
import type { Nursery } from "../../src/nursery/index.ts";
import { newIdentity, openP2pHost, type P2pHost } from "../../src/p2p/index.ts";
import type { Method, ServedMethod } from "../../src/peer/rpc.ts";
import { serve } from "../../src/peer/serve.ts";
import { createPeerTable } from "../../src/peer/table.ts";

type Body = { readonly text: string };

/** With the envelope the request has about 200 bytes. */
export const BODY: Body = { text: "x".repeat(130) };

/** Answers what it is given. */
export const echo: Method<Body, Body> = {
  name: "bench.echo",
  grant: "submit",
  input: z.object({ text: z.string() }),
  output: z.object({ text: z.string() }),
  idempotent: true,
};

/** Opens a host on a free port that serves {@link echo} and `methods`. */
export async function openBenchHost(
  nursery: Nursery,
  methods: readonly ServedMethod[] = [],
): Promise<P2pHost> {
  return openP2pHost({
    privateKey: await newIdentity(),
    nursery,
    clock: systemClock,
    logger: silentLogger,
    authority: createAuthority(),
    methods: [serve(echo, (body) => Promise.resolve(body)), ...methods],
    table: createPeerTable({ clock: systemClock }),
  });
}
