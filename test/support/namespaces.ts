/**
 * Small internets made of network namespaces: machines, segments that join them, and routers that translate addresses.
 *
 * Nothing leaves them. Needs root, `ip` and `nft`; {@link whyNoNamespaces} says what is missing.
 */
import { execFileSync } from "node:child_process";
import { connect } from "../../src/connect.ts";
import type { Client } from "../../src/client/index.ts";
import { type NodeProcess, startNode } from "./node-process.ts";

const BIN = new URL("../../bin/mcpp.js", import.meta.url).pathname;
/** The shared token of all nodes in these tests. */
export const TOKEN = "a-token-of-the-network-tests-0123456789";

function run(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** What these tests lack on this machine; undefined if nothing. */
export function whyNoNamespaces(): string | undefined {
  if (process.env["MCPP_NETWORK"] !== "1") return "takes minutes: `npm run test:network` runs it";
  if (process.platform !== "linux") return "network namespaces are Linux's";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  try {
    run("nft", "--version");
    const probe = `mcpp-probe-${process.pid}`;
    run("ip", "netns", "add", probe);
    run("ip", "netns", "delete", probe);
    return undefined;
  } catch (error) {
    return `no network namespaces: ${error instanceof Error ? error.message.trim() : String(error)}`;
  }
}

/** One machine. */
export interface Machine {
  readonly name: string;
  /** Runs a program there and waits for it. @returns what it printed */
  run(program: string, ...args: readonly string[]): string;
  /** Gives it an address, such as `10.0.0.2/24`, on a segment. @returns the name of its interface */
  plug(segment: Segment, address: string): string;
  /** Where to send what is not on a segment of its own. */
  route(via: string): void;
  /** Makes it a router that hides `inside` behind its own address and lets nobody in from `outside`. */
  translate(inside: string, outside: string): void;
  /** Starts `mcpp serve` there. */
  start(folder: string, args?: readonly string[]): Promise<NodeProcess>;
  /** A client of the node that has the data folder there. */
  client(folder: string): Promise<Client>;
}

/** What joins machines, as a switch does. */
export interface Segment {
  readonly bridge: string;
}

/** A small internet. */
export interface Internet extends Disposable {
  machine(name: string): Machine;
  segment(name: string): Segment;
}

let made = 0;

/** An empty internet, which goes with the test. */
export function openInternet(): Internet {
  const prefix = `mcpp${process.pid}x${made++}`;
  const core = `${prefix}-core`;
  const names: string[] = [];
  const addNamespace = (name: string): void => {
    run("ip", "netns", "add", name);
    names.push(name);
    run("ip", "-n", name, "link", "set", "lo", "up");
  };
  addNamespace(core);
  return {
    segment(name) {
      run("ip", "-n", core, "link", "add", name, "type", "bridge");
      run("ip", "-n", core, "link", "set", name, "up");
      return { bridge: name };
    },
    machine(name) {
      const full = `${prefix}-${name}`;
      addNamespace(full);
      return machineIn(full, name, core);
    },
    [Symbol.dispose]() {
      for (const name of names.toReversed()) run("ip", "netns", "delete", name);
    },
  };
}

function machineIn(namespace: string, name: string, core: string): Machine {
  const launcher = ["ip", "netns", "exec", namespace];
  const inside = (program: string, ...args: readonly string[]): string =>
    run("ip", "netns", "exec", namespace, program, ...args);
  let plugs = 0;
  return {
    name,
    run: inside,
    plug({ bridge }, address) {
      const port = `eth${plugs++}`;
      const far = `${name}-${port}`;
      run("ip", "-n", namespace, "link", "add", port, "type", "veth", "peer", "name", far, "netns", core);
      run("ip", "-n", core, "link", "set", far, "master", bridge, "up");
      // Without the check for duplicates an IPv6 address can be used at once.
      const options = address.includes(":") ? ["nodad"] : [];
      run("ip", "-n", namespace, "address", "add", address, "dev", port, ...options);
      run("ip", "-n", namespace, "link", "set", port, "up");
      return port;
    },
    route(via) {
      run("ip", "-n", namespace, "route", "add", "default", "via", via);
    },
    translate(lan, wan) {
      inside("sysctl", "-qw", "net.ipv4.ip_forward=1");
      const rules = `
        table ip mcpp {
          chain hide { type nat hook postrouting priority 100; oifname "${wan}" masquerade; }
          chain guard {
            type filter hook forward priority 0; policy drop;
            iifname "${lan}" accept;
            iifname "${wan}" ct state established,related accept;
          }
        }`;
      execFileSync("ip", ["netns", "exec", namespace, "nft", "-f", "-"], { input: rules });
    },
    start: (folder, args = []) => startNode(folder, args, "serve", { launcher, env: { MCPP_TOKEN: TOKEN } }),
    client: (folder) =>
      connect(
        [...launcher, process.execPath, BIN, "serve", "--stdio", "--data-dir", folder]
          .map((word) => `'${word}'`)
          .join(" "),
      ),
  };
}
