/** A network of two machines: network namespaces with a cable between them. */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";

/** Two namespaces whose interfaces are connected, and nothing else. */
export interface Lan extends Disposable {
  /** A command that runs in the first or second machine, for what comes after it. */
  readonly machines: readonly [string, string];
}

/** Why there can be no namespaces here; undefined if there can. */
export function noNamespaces(): string | undefined {
  if (process.env["MCPP_NETWORK"] !== "1") return "takes long: `npm run test:network` runs it";
  if (process.platform !== "linux" || process.getuid?.() !== 0)
    return "needs root on Linux, for network namespaces";
  const name = `lan${randomBytes(3).toString("hex")}`;
  if (spawnSync("ip", ["netns", "add", name]).status !== 0) return "needs iproute2 and network namespaces";
  spawnSync("ip", ["netns", "delete", name]);
  return undefined;
}

/**
 * Makes them.
 *
 * @param addresses - with prefix lengths; none makes machines that only reach themselves, and then both are the same one
 */
export function openLan(addresses?: readonly [string, string]): Lan {
  const tag = randomBytes(3).toString("hex");
  const [a, b] = [`lan${tag}a`, `lan${tag}b`] as const;
  const made: string[] = [];
  const close = (): void => {
    for (const name of made) spawnSync("ip", ["netns", "delete", name]);
  };
  try {
    for (const name of addresses ? [a, b] : [a]) {
      ip("netns", "add", name);
      made.push(name);
      ip("-n", name, "link", "set", "lo", "up");
    }
    if (addresses) {
      ip("-n", a, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", b);
      for (const [index, name] of made.entries()) {
        const address = addresses[index] ?? "";
        // Without duplicate address detection an IPv6 address can be used at once.
        const options = address.includes(":") ? ["nodad"] : [];
        ip("-n", name, "addr", "add", address, "dev", "eth0", ...options);
        ip("-n", name, "link", "set", "eth0", "up");
      }
    }
  } catch (error) {
    close();
    throw error;
  }
  return { machines: [machine(a), machine(addresses ? b : a)], [Symbol.dispose]: close };
}

/** The command that runs what follows it in a namespace. */
function machine(name: string): string {
  return `ip netns exec ${name}`;
}

function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync("ip", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
}
