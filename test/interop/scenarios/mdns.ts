/**
 * Multicast DNS, in a network namespace that has nothing but its loopback interface, so that nothing leaves the machine.
 *
 * py-libp2p announces instances of `_p2p._udp.local.` with the peer id in a TXT member `id` and the port in SRV; go-libp2p
 * has the standard form, with `dnsaddr=` in TXT.
 */
import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import * as z from "zod";
import { cleanEnvironment, temporaryFolder } from "../../support/node-process.ts";
import { atEnd } from "../cleanup.ts";
import { commandOf, hasOption, peersOf } from "../cli.ts";
import { eventually } from "../eventually.ts";
import { LIMIT } from "../limits.ts";
import type { Foreign } from "../prepare.ts";

const run = promisify(execFile);

const LOOPBACK = "127.0.0.1/8";

const ready = z.object({ peer_id: z.string() });
const done = z.looseObject({});
const found = z.array(z.string());

interface Namespace extends AsyncDisposable {
  /** What a command line begins with to run there. */
  readonly inside: readonly string[];
}

interface InsideNode extends AsyncDisposable {
  readonly peerId: string;
}

async function openNamespace(): Promise<Namespace> {
  const name = `mcpp-interop-${process.pid}`;
  await run("ip", ["netns", "add", name]);
  const settled = atEnd(() => void execFileSync("ip", ["netns", "delete", name]));
  await run("ip", ["-n", name, "link", "set", "lo", "up", "multicast", "on"]);
  // The address has the scope "host" at first; Linux would give packets for a group that are sent by the number of the
  // interface, as go-libp2p does, 0.0.0.0 as their source, and those are not answered here.
  await run("ip", ["-n", name, "address", "delete", LOOPBACK, "dev", "lo"]);
  await run("ip", ["-n", name, "address", "add", LOOPBACK, "dev", "lo", "scope", "link"]);
  return {
    inside: ["ip", "netns", "exec", name],
    [Symbol.asyncDispose]: async () => {
      settled();
      await run("ip", ["netns", "delete", name]);
    },
  };
}

async function startInside(inside: readonly string[], folder: string): Promise<InsideNode> {
  const options = ["--port", "0", "--workers", "0", "--mdns", "loopback"];
  const [command = "", ...args] = [
    ...inside,
    ...commandOf(["serve", "--json", "--data-dir", folder, ...options]),
  ];
  const child = spawn(command, args, { env: cleanEnvironment(folder), stdio: ["ignore", "pipe", "inherit"] });
  const exit = once(child, "exit");
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  return {
    peerId: ready.parse(JSON.parse(String(line))).peer_id,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await exit;
    },
  };
}

/** Why it cannot be tried here; false if it can. */
async function missing(): Promise<string | false> {
  using folder = temporaryFolder();
  if (!(await hasOption(folder.path, "--mdns"))) return "this product has no mDNS yet";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  return run("ip", ["-V"]).then(
    () => false,
    () => "there is no iproute2 here",
  );
}

export function mdns(foreign: Foreign): void {
  describe("mDNS", () => {
    it("a node here and a peer there find each other", LIMIT, async (t) => {
      const why = await missing();
      if (why !== false) return t.skip(why);
      using folder = temporaryFolder();
      await using namespace = await openNamespace();
      const { inside } = namespace;
      await using node = await startInside(inside, folder.path);
      await using there = await foreign.start({ inside });

      await there.run("mdns_start", {}, done);
      const here = await eventually(
        t.signal,
        () => peersOf(folder.path, inside),
        (peers) => peers.includes(there.peerId),
      );
      const foundThere = await eventually(
        t.signal,
        () => there.run("mdns_found", {}, found),
        (peers) => peers.includes(node.peerId),
      );

      assert.ok(here.includes(there.peerId) && foundThere.includes(node.peerId));
    });
  });
}
