/** Hosts that are reached through a relay: who gets a place, what travels, and what becomes of calls under way. */
import assert from "node:assert/strict";
import { connect as connectSocket, createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import { multiaddr } from "@multiformats/multiaddr";
import { hasCode } from "../../src/errors.ts";
import { createReach, type P2pHost, type ReachConfig } from "../../src/p2p/index.ts";
import { createAuthority } from "../../src/authority/authority.ts";
import { systemClock } from "../../src/clock.ts";
import type { Logger } from "../../src/logger.ts";
import { createPeerTable } from "../../src/peer/table.ts";
import {
  addressOf,
  echo,
  hello,
  once,
  type Open,
  plainMethods,
  served,
  text,
  until,
  withHosts,
} from "./hosts.ts";

const TOKEN = "a-token-of-the-tests-of-reaching-0123456789";
const KIB = 1024;
const LIMIT_MS = 60_000;
const PLENTY = { reservations: 10, reservationMs: 3_600_000, connectionBytes: 0, connectionMs: 3_600_000 };
const NOTHING: ReachConfig = { relayVia: [], holePunch: false, autonat: false, upnp: false };

async function openRelay(open: Open, relay: Partial<ReachConfig["relay"]> = {}): Promise<P2pHost> {
  return open({
    mechanisms: await createReach({ ...NOTHING, relay: { limits: PLENTY, relayFor: "ours", ...relay } }),
    sharedToken: TOKEN,
    trustLoopback: false,
  });
}

/** A host that cannot be dialled: it listens nowhere but at the relay. */
async function openHidden(open: Open, relay: P2pHost, options: Parameters<Open>[0] = {}): Promise<P2pHost> {
  return open({
    listen: [],
    mechanisms: await createReach({ ...NOTHING, relayVia: [addressOf(relay)] }),
    sharedToken: TOKEN,
    trustLoopback: false,
    ...options,
  });
}

async function openOther(open: Open, options: Parameters<Open>[0] = {}): Promise<P2pHost> {
  const mechanisms = await createReach(NOTHING);
  return open({ listen: [], mechanisms, sharedToken: TOKEN, trustLoopback: false, ...options });
}

const isReached = (host: P2pHost): boolean =>
  host.multiaddrs().some((address) => address.includes("/p2p-circuit/"));

describe("a relay", () => {
  it("carries calls between nodes of ours, more than libp2p's 128 KiB of them", { timeout: LIMIT_MS }, () =>
    withHosts(async (open) => {
      const relay = await openRelay(open);
      const hidden = await openHidden(open, relay);
      await until(() => isReached(hidden));
      const table = createPeerTable({ clock: systemClock });
      const caller = await openOther(open, { table });
      const target = { multiaddr: addressOf(hidden) };
      for (let i = 0; i < 10; i++) {
        const { value } = await caller.rpc.call(target, echo, { value: text(64 * KIB) });
        assert.equal(value, text(64 * KIB));
      }
      assert.equal(table.get(hidden.peerId)?.path, "relayed");
      assert.equal(table.get(relay.peerId)?.path, "direct");
    }),
  );

  it(
    "gives a stranger neither a place nor a connection, unless it is there for anyone",
    { timeout: LIMIT_MS },
    () =>
      withHosts(async (open) => {
        const relay = await openRelay(open);
        const hidden = await openHidden(open, relay);
        await until(() => isReached(hidden));
        const stranger = await openOther(open, { sharedToken: undefined });
        await assert.rejects(
          stranger.rpc.call({ multiaddr: addressOf(hidden) }, hello, { value: 1 }),
          (error) => hasCode(error, "E_UNREACHABLE"),
        );
        const lines: string[] = [];
        await openHidden(open, relay, { sharedToken: undefined, logger: listing(lines) });
        await until(() => lines.some((line) => line.includes("PERMISSION_DENIED")));

        const forAnyone = await openRelay(open, { relayFor: "anyone" });
        const placed = await openHidden(open, forAnyone, { sharedToken: undefined });
        await until(() => isReached(placed));
      }),
  );

  it("gives no more places than it has, and has one again when a node leaves", { timeout: LIMIT_MS }, () =>
    withHosts(async (open) => {
      const relay = await openRelay(open, { limits: { ...PLENTY, reservations: 1 } });
      const first = await openHidden(open, relay);
      await until(() => isReached(first));
      const lines: string[] = [];
      const second = await openHidden(open, relay, { logger: listing(lines) });
      await until(() => lines.some((line) => line.includes("RESERVATION_REFUSED")));
      await first.close();
      await until(() => isReached(second));
    }),
  );

  it("is told of beside announced addresses", { timeout: LIMIT_MS }, () =>
    withHosts(async (open) => {
      const relay = await openRelay(open);
      const announced = "/dns4/node.example/tcp/4001";
      const hidden = await openHidden(open, relay, { announce: [announced] });
      await until(() => isReached(hidden));
      assert.deepEqual(hidden.multiaddrs(), [
        `${announced}/p2p/${hidden.peerId}`,
        `${addressOf(relay)}/p2p-circuit/p2p/${hidden.peerId}`,
      ]);
    }),
  );
});

describe("a call through a relay", () => {
  it(
    "ends where it began when a direct connection comes up, and the next one takes that",
    { timeout: LIMIT_MS },
    () =>
      withHosts(async (open) => {
        const relay = await openRelay(open);
        const begun = Promise.withResolvers<void>();
        const go = Promise.withResolvers<void>();
        let runs = 0;
        const slow = served(once, async (input) => {
          runs += 1;
          begun.resolve();
          await go.promise;
          return input;
        });
        const methods = [slow, ...plainMethods.filter(({ name }) => name !== once.name)];
        const options = { listen: ["/ip4/127.0.0.1/tcp/0"], methods };
        const hidden = await openHidden(open, relay, options);
        await until(() => isReached(hidden));
        const relayed = hidden.multiaddrs().find((address) => address.includes("/p2p-circuit/")) ?? "";
        const table = createPeerTable({ clock: systemClock });
        const caller = await openOther(open, { listen: undefined, table });

        const under = caller.rpc.call({ multiaddr: relayed }, once, { value: 1 });
        await begun.promise;
        assert.equal(table.get(hidden.peerId)?.path, "relayed");
        // The other side dials, as after a hole was punched.
        await hidden.rpc.call({ multiaddr: addressOf(caller) }, echo, { value: 2 });
        await until(() => table.get(hidden.peerId)?.path === "direct");
        await caller.rpc.call({ peerId: hidden.peerId }, echo, { value: 3 });
        go.resolve();
        assert.deepEqual(await under, { value: 1 });
        assert.equal(runs, 1);
        // To the other node and to the relay; the relayed connection is closed, as nothing uses it any more.
        await until(() => caller.stats().links === 2 && caller.stats().connections === 2);
      }),
  );

  it(
    "is made again if that is safe, and fails with the truth if not, when the relay dies",
    { timeout: LIMIT_MS },
    () =>
      withHosts(async (open) => {
        const relay = await openRelay(open);
        const gate = Promise.withResolvers<void>();
        const runs = { echo: 0, once: 0 };
        const methods = [
          served(echo, async (input) => {
            runs.echo += 1;
            if (runs.echo === 1) await gate.promise;
            return input;
          }),
          served(once, async (input) => {
            runs.once += 1;
            await gate.promise;
            return input;
          }),
        ];
        const hidden = await openHidden(open, relay, { listen: ["/ip4/127.0.0.1/tcp/0"], methods });
        await until(() => isReached(hidden));
        const relayed = hidden.multiaddrs().find((address) => address.includes("/p2p-circuit/")) ?? "";
        const table = createPeerTable({ clock: systemClock });
        const caller = await openOther(open, { table });
        await caller.resolve({ multiaddr: relayed });
        table.heard(hidden.peerId, { multiaddrs: [addressOf(hidden)] });
        const target = { peerId: hidden.peerId };
        const safe = caller.rpc.call(target, echo, { value: 1 });
        const unsafe = caller.rpc.call(target, once, { value: 2 });
        await until(() => runs.echo === 1 && runs.once === 1);
        await relay.close();
        try {
          await assert.rejects(unsafe, (error) => hasCode(error, "E_CONNECTION_LOST"));
          assert.deepEqual(await safe, { value: 1 });
          assert.deepEqual(runs, { echo: 2, once: 1 });
        } finally {
          gate.resolve();
        }
      }),
  );
});

describe("a peer that is gone without a word", () => {
  it("fails calls that must not be repeated, long before their deadline", { timeout: LIMIT_MS }, () =>
    withHosts(async (open) => {
      const methods = [served(once, (_input, { signal }) => untilAborted(signal))];
      const silent = await open({ methods });
      await using hole = await openHole(addressOf(silent));
      const limits = { silentMs: 200, probeMs: 200 };
      const caller = await open({ listen: [], limits, authority: createAuthority() });
      const pending = caller.rpc.call({ multiaddr: hole.address }, once, { value: 1 }, { timeoutMs: 50_000 });
      await until(() => silent.stats().serving === 1);
      hole.swallow();
      const startedMs = performance.now();
      await assert.rejects(pending, (error) => hasCode(error, "E_CONNECTION_LOST"));
      assert.ok(performance.now() - startedMs < 10_000);
    }),
  );

  it("leaves a peer alone that answers nothing but is there", { timeout: LIMIT_MS }, () =>
    withHosts(async (open) => {
      const go = Promise.withResolvers<void>();
      const methods = [
        served(once, async (input) => {
          await go.promise;
          return input;
        }),
      ];
      const slow = await open({ methods });
      const caller = await open({ listen: [], limits: { silentMs: 60, probeMs: 5000 } });
      const pending = caller.rpc.call({ multiaddr: addressOf(slow) }, once, { value: 1 });
      // Several looks, and as many answered questions.
      await until(() => caller.stats().inFlight === 1);
      const untilMs = performance.now() + 600;
      await until(() => performance.now() > untilMs);
      go.resolve();
      assert.deepEqual(await pending, { value: 1 });
    }),
  );
});

interface Hole extends AsyncDisposable {
  readonly address: string;
  /** From now on everything that comes disappears. */
  swallow(): void;
}

/** A network path to a host that can lose everything, both ways, without ending. */
async function openHole(address: string): Promise<Hole> {
  const parts = multiaddr(address).getComponents();
  const port = Number(parts.find(({ name }) => name === "tcp")?.value);
  const sockets: Socket[] = [];
  const server = createServer((near) => {
    const far = connectSocket(port, "127.0.0.1");
    sockets.push(near, far);
    near.pipe(far);
    far.pipe(near);
    for (const socket of [near, far]) socket.on("error", () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  assert.ok(typeof bound === "object" && bound !== null);
  return {
    address: address.replace(`/tcp/${port}/`, `/tcp/${bound.port}/`),
    swallow() {
      for (const socket of sockets) {
        socket.unpipe();
        socket.resume();
      }
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(new Error("the caller is gone")), { once: true });
  });
}

/** A logger that lists its lines. */
function listing(lines: string[]): Logger {
  const add = (facts: object, message: string): void =>
    void lines.push(`${message} ${JSON.stringify(facts)}`);
  const logger: Logger = { debug: add, info: add, warn: add, error: add, child: () => logger };
  return logger;
}
