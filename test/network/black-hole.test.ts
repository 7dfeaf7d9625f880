/** A peer whose packets are dropped without a word. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { whyNoNamespaces } from "../support/namespaces.ts";
import { finish, LIMIT_MS, LISTEN, pathTo, PORT, type Site, submit, until, World } from "./world.ts";

function at({ node, machine }: Site): { readonly remote_multiaddr: string } {
  const host = machine.name === "b" ? "10.1.0.3" : "10.1.0.4";
  return { remote_multiaddr: `/ip4/${host}/tcp/${PORT}/p2p/${node.peer_id}` };
}

describe("a peer whose packets are dropped", { skip: whyNoNamespaces() ?? false }, () => {
  let world: World;
  let caller: Site;
  let lost: Site;
  let other: Site;

  before(async () => {
    world = new World();
    const lan = world.internet.segment("lan");
    caller = await world.start(world.machine("a", lan, "10.1.0.2/24"), [...LISTEN, "--workers", "0"]);
    const forCaller = ["--work-for", `/ip4/10.1.0.2/tcp/${PORT}/p2p/${caller.node.peer_id}`];
    lost = await world.start(world.machine("b", lan, "10.1.0.3/24"), [...LISTEN, ...forCaller]);
    other = await world.start(world.machine("c", lan, "10.1.0.4/24"), LISTEN);
  });

  after(() => world.close());

  it(
    "fails calls in time with the cause, harms no other peer, and is worked with again",
    { timeout: LIMIT_MS },
    async (t) => {
      await finish(caller, at(lost), await submit(caller, at(lost), { n: 1 }));
      await finish(caller, at(other), await submit(caller, at(other), { n: 1 }));
      await until("the worker is here", async () => (await pathTo(caller, lost.node.peer_id)) === "direct");
      const rules =
        "table inet hole { chain in { type filter hook input priority 0; iifname eth0 drop; }; chain out { type filter hook output priority 0; oifname eth0 drop; }; }";
      lost.machine.run("nft", rules);
      const droppedMs = performance.now();

      const ask = (timeoutS: number): Promise<unknown> =>
        caller.client.call(
          "p2p_taskqueue_status",
          { ...at(lost), timeout_s: timeoutS },
          { timeoutMs: 60_000 },
        );
      const failure = async (asked: Promise<unknown>): Promise<string> => {
        const text = await asked.then(() => "it succeeded", String);
        return `${Math.round((performance.now() - droppedMs) / 1000)} s: ${text}`;
      };
      const [short, long] = [failure(ask(5)), failure(ask(45))];
      const beganMs = performance.now();
      for (let n = 0; n < 20; n++) await submit(caller, at(other), { n });
      t.diagnostic(`20 submits to another peer took ${Math.round(performance.now() - beganMs)} ms`);
      assert.ok(performance.now() - beganMs < 8000);

      const failures = [await short, await long];
      t.diagnostic(failures.join("; "));
      assert.match(failures[0] ?? "", /^[5-9] s: .*(not done|did not answer) within 5000 ms/);
      assert.match(failures[1] ?? "", /^(1\d|2\d|3[0-5]) s: .*cannot reach/);

      await until("the worker knows", async () => lost.node.stderr().includes("no sign of life"));

      const id = await submit(caller, {}, { n: 2 });
      lost.machine.run("nft", "delete table inet hole");
      const backMs = performance.now();
      await finish(caller, {}, id);
      t.diagnostic(`worked again ${Math.round(performance.now() - backMs)} ms after packets passed`);
    },
  );
});
