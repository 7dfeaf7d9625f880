/** Real hosts in this process, on loopback, for tests. */
import * as z from "zod";
import { createAuthority } from "../../src/authority/authority.ts";
import { systemClock } from "../../src/clock.ts";
import { InvalidInputError } from "../../src/errors.ts";
import { silentLogger } from "../../src/logger.ts";
import { type Nursery, openNursery } from "../../src/nursery/index.ts";
import { newIdentity, openP2pHost, type P2pHost, type P2pHostOptions } from "../../src/p2p/index.ts";
import type { CallContext, Method, ServedMethod } from "../../src/peer/rpc.ts";
import { createPeerTable } from "../../src/peer/table.ts";

/** Answers with its input. */
export const echo: Method<{ readonly value: unknown }, { readonly value: unknown }> = {
  name: "test.echo",
  grant: "submit",
  input: z.object({ value: z.unknown() }),
  output: z.object({ value: z.unknown() }),
  idempotent: true,
};

/** The same, but not to be done twice. */
export const once: typeof echo = { ...echo, name: "test.once", idempotent: false };

/** What everybody may ask. */
export const hello: typeof echo = { ...echo, name: "test.hello", grant: "status" };

/** Binds a declaration to what answers it. */
export function served<I, O>(
  method: Method<I, O>,
  run: (input: I, context: CallContext) => Promise<O>,
): ServedMethod {
  return {
    name: method.name,
    parse(input) {
      const parsed = method.input.safeParse(input);
      if (!parsed.success) throw new InvalidInputError(parsed.error.message);
      const { grant } = method;
      return {
        grant: typeof grant === "function" ? grant(parsed.data) : grant,
        run: (context) => run(parsed.data, context),
      };
    },
  };
}

/** Methods that answer at once. */
export const plainMethods: readonly ServedMethod[] = [
  served(echo, (input) => Promise.resolve(input)),
  served(once, (input) => Promise.resolve(input)),
  served(hello, (input) => Promise.resolve(input)),
];

/** Opens a host that is closed with the test. */
export type Open = (options?: Partial<P2pHostOptions>) => Promise<P2pHost>;

/** Runs `body` with hosts, and closes them whatever happens. */
export async function withHosts(body: (open: Open, nursery: Nursery) => Promise<void>): Promise<void> {
  await openNursery(async (nursery) => {
    const open: Open = async (options = {}) =>
      openP2pHost({
        privateKey: await newIdentity(),
        nursery,
        clock: systemClock,
        logger: silentLogger,
        authority: createAuthority(),
        methods: plainMethods,
        table: createPeerTable({ clock: systemClock }),
        ...options,
      });
    await body(open, nursery);
    nursery.cancel("the test is over");
  });
}

/** The first address of a host. */
export function addressOf(host: P2pHost): string {
  const [address] = host.multiaddrs();
  if (address === undefined) throw new Error("the host does not listen");
  return address;
}

/** Waits, a turn of the event loop at a time, until `condition` holds; the test's own deadline bounds it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** A text from each number, for payloads of a known size. */
export function text(bytes: number): string {
  return "x".repeat(bytes);
}
