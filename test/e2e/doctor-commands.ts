/** `mcpp doctor`, `why` and `peers` as users run them, against a node where nearly everything is silent. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { createServer, type Server, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import * as z from "zod";
import { newIdentity, peerIdOf } from "../../src/p2p/index.ts";
import { doctor } from "../../src/tools/peers/doctor.ts";
import { why } from "../../src/tools/peers/why.ts";
import { type Finished, mcpp, openHome, start } from "../cli/support/mcpp.ts";

const findingsSchema = z.object({
  ok: z.literal(true),
  healthy: z.boolean(),
  findings: z.array(z.object({ code: z.string(), level: z.string(), what: z.string() })),
});
type Answer = z.infer<typeof findingsSchema>;

let home: Awaited<ReturnType<typeof openHome>>;
let node: ChildProcess;
let silent: Server;
let silentAddress: string;
const sockets = new Set<Socket>();

before(async () => {
  silent = createServer((socket) => sockets.add(socket.on("error", () => undefined)));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const address = silent.address();
  assert.ok(typeof address === "object" && address !== null);
  silentAddress = `/ip4/127.0.0.1/tcp/${address.port}/p2p/${peerIdOf(await newIdentity())}`;
  home = await openHome();
  const places = ["--bootstrap", "--rendezvous", "--relay-via", "--dht-bootstrap"];
  const flags = places.flatMap((flag) => [flag, silentAddress]);
  node = start(home.dir, ["serve", "--port", "0", "--json", "--quiet", "--dht", "private", ...flags]);
  await new Promise<void>((resolve) => node.stdout?.once("data", () => resolve()));
});
after(async () => {
  node.kill("SIGKILL");
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => silent.close(resolve));
  await home.close();
});

function answerOf({ stdout, stderr }: Finished): Answer {
  assert.match(stdout, /^\{/, stderr);
  return findingsSchema.parse(JSON.parse(stdout));
}

// The commands give up on the node after ten seconds: what it says is only seen if it was in time.
describe("with a node whose places are all silent", { timeout: 120_000 }, () => {
  it("the tools take ten seconds at most", () => {
    const calls = [doctor.parse({}), why.parse({ peer: "x" })];
    for (const { deadlineMs } of calls) assert.ok(deadlineMs <= 10_000);
  });

  it("mcpp doctor has the node's own findings in time, of every mechanism, and fails", async () => {
    const finished = await mcpp(home.dir, ["doctor", "--json"]);

    const { healthy, findings } = answerOf(finished);
    const codes = new Set(findings.map(({ code }) => code));
    assert.equal(finished.code, 1);
    assert.equal(healthy, false);
    for (const code of ["rendezvous-unreachable", "dht-alone", "mdns-idle", "interfaces", "peers"])
      assert.ok(codes.has(code), `${code} among ${[...codes].join(", ")}`);
    assert.ok([...codes].some((code) => code.startsWith("relay-")));
    assert.ok([...codes].some((code) => code.startsWith("nat-")));
    assert.ok(findings.some(({ code, what }) => code === "mechanism" && /^bootstrap: .*ms\)/.test(what)));
  });

  it("mcpp why has them in time, and names the address and how the mechanisms stand", async () => {
    const finished = await mcpp(home.dir, ["why", silentAddress.split("/").at(-1) ?? "", "--json"]);

    const codes = answerOf(finished).findings.map(({ code }) => code);
    assert.equal(finished.code, 1);
    assert.ok(codes.includes("address-silent"), codes.join(", "));
    assert.ok(codes.includes("dht-alone"), codes.join(", "));
  });

  it("mcpp why prints each finding with what to try, and what was asked and dialled", async () => {
    const { stdout } = await mcpp(home.dir, ["why", silentAddress]);

    assert.match(stdout, /^✗ .*\[address-silent\]\n {4}try: /m);
    assert.match(
      stdout,
      /^\w+: unreachable \(\d+ ms\)\n {2}\/ip4\/127\.0\.0\.1\/tcp\/\d+\S*: silent \(\d+ ms\)$/m,
    );
  });

  it("mcpp peers shows nobody, since nobody answers", async () => {
    const { code, stdout } = await mcpp(home.dir, ["peers", "--json", "--timeout", "500ms"]);

    assert.equal(code, 0);
    const { peers } = z
      .object({ peers: z.array(z.object({ alive: z.boolean().optional() })) })
      .parse(JSON.parse(stdout));
    assert.deepEqual(
      peers.filter(({ alive }) => alive === true),
      [],
    );
  });
});
