/** What can be told about a node's configuration, folder and machine without the node itself. */
import { lookup } from "node:dns/promises";
import { access, constants, stat } from "node:fs/promises";
import { createServer } from "node:net";
import type { NodeConfig } from "../config.ts";
import { dataPaths, type Holder, holderOf } from "../data-folder.ts";
import { errorFacts } from "../errors.ts";
import { abandonOnCancel, moveOnAfter } from "../nursery/index.ts";
import type { Finding } from "../peer/finding.ts";

/** The least version of Node.js that runs this, as package.json says. */
const LEAST_NODE = [22, 19] as const;
/** How long a name server may take. */
const DNS_MS = 2000;
/** Reading more than this takes longer than a check-up may. */
const MAX_CHECKED_BYTES = 32 * 1024 * 1024;

/** The findings about the machine, and about a node of this configuration that runs or is to run. */
export async function checkUp(config: NodeConfig): Promise<readonly Finding[]> {
  const holder = await holderOf(config.dataDir);
  return [
    nodeVersion(process.versions.node),
    ...(config.p2p ? [] : [P2P_OFF]),
    ...(await folder(config, holder)),
    ...(holder ? [] : await ports(config)),
    ...(await addresses(config)),
    ...(await announceFiles(config)),
  ];
}

/** That a node has the data folder which nobody can talk to. */
export function lockedFinding(config: NodeConfig, { pid, host }: Holder): Finding {
  return {
    code: "folder-locked",
    level: "problem",
    what: `the data folder ${config.dataDir} is in use by process ${pid} on ${host}, which does not answer here: no other node can use the folder`,
    next: `end that process (kill ${pid}), or use another folder: mcpp serve --data-dir <folder>`,
  };
}

const P2P_OFF: Finding = {
  code: "p2p-off",
  level: "problem",
  what: "P2P is off in the configuration: a node sees no peers, and no peer sees it",
  next: "mcpp serve --p2p",
};

/** Whether a version of Node.js is new enough. */
export function nodeVersion(version: string): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [leastMajor, leastMinor] = LEAST_NODE;
  const fits = major > leastMajor || (major === leastMajor && minor >= leastMinor);
  if (fits) return { code: "node-version", level: "ok", what: `Node.js ${version}` };
  const what = `Node.js ${version} is too old: it must be ${LEAST_NODE.join(".")} or newer`;
  return { code: "node-version", level: "problem", what, next: "install a newer Node.js" };
}

async function folder(config: NodeConfig, holder: Holder | undefined): Promise<readonly Finding[]> {
  const { dir, queue } = dataPaths(config.dataDir);
  try {
    await access(dir, constants.R_OK | constants.W_OK);
  } catch (error) {
    if (isCode(error, "ENOENT"))
      return [
        {
          code: "no-folder",
          level: "note",
          what: `the data folder ${dir} is not there yet`,
          next: "mcpp serve makes it",
        },
      ];
    return [
      {
        code: "folder-unwritable",
        level: "problem",
        what: `the data folder ${dir} cannot be written`,
        next: `ls -ld ${dir}`,
      },
    ];
  }
  const who = holder ? `in use by process ${holder.pid} on ${holder.host}` : "free";
  return [
    { code: "folder", level: "ok", what: `the data folder ${dir} is ${who}` },
    ...(await store(config, queue)),
  ];
}

async function store(config: NodeConfig, path: string): Promise<readonly Finding[]> {
  if (config.store !== "sqlite") return [];
  try {
    const { size } = await stat(path);
    if (size > MAX_CHECKED_BYTES)
      return [
        {
          code: "store-unchecked",
          level: "note",
          what: `the database has ${size} bytes and was not read`,
          next: "mcpp store check",
        },
      ];
    const { checkSqliteStore } = await import("../store/index.ts");
    const { findings } = checkSqliteStore(path);
    return findings.map(({ what, todo }) => ({ code: "store-damaged", level: "problem", what, next: todo }));
  } catch (error) {
    if (isCode(error, "ENOENT")) return [];
    const { message, hint } = errorFacts(error);
    return [{ code: "store-unreadable", level: "problem", what: message, next: hint ?? "mcpp store check" }];
  }
}

/** Whether the ports that a node is to listen on are free. */
async function ports({ http, host, port, p2p, listen }: NodeConfig): Promise<readonly Finding[]> {
  const wanted = [
    ...(http && port !== 0 ? [{ flag: "--port", host, port }] : []),
    ...(p2p ? listen.flatMap(tcpOf).map((place) => ({ flag: "--listen", ...place })) : []),
  ];
  const checked = await Promise.all(
    wanted.map(async (place) => ({ place, code: await abandonOnCancel(bindError(place.host, place.port)) })),
  );
  return checked.flatMap(({ place, code }): readonly Finding[] => {
    const where = `${place.host}:${place.port}`;
    if (code === undefined) return [];
    if (code === "EADDRINUSE")
      return [
        {
          code: "port-in-use",
          level: "problem",
          what: `${where} is in use by another program (${place.flag})`,
          next: `ss -ltnp 'sport = :${place.port}' shows which; or choose another with ${place.flag}`,
        },
      ];
    return [
      {
        code: "port-unusable",
        level: "problem",
        what: `this machine cannot listen on ${where} (${code})`,
        next: `choose another address with ${place.flag}`,
      },
    ];
  });
}

function tcpOf(address: string): readonly { readonly host: string; readonly port: number }[] {
  const match = /^\/ip[46]\/([^/]+)\/tcp\/(\d+)/.exec(address);
  const port = Number(match?.[2] ?? 0);
  return match?.[1] === undefined || port === 0 ? [] : [{ host: match[1], port }];
}

function bindError(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error) => resolve("code" in error ? String(error.code) : error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/** Whether the addresses that the configuration names can be read, and their names be resolved. */
async function addresses({ bootstrap, listen, announce }: NodeConfig): Promise<readonly Finding[]> {
  const { parseMultiaddr } = await import("../p2p/address.ts");
  const findings: Finding[] = [];
  for (const text of new Set([...bootstrap, ...listen, ...announce])) {
    try {
      parseMultiaddr(text);
    } catch {
      // That it cannot be read is the finding.
      findings.push({
        code: "address-malformed",
        level: "problem",
        what: `${text} is no multiaddr`,
        next: "correct it; mcpp config show says where it is from",
      });
    }
  }
  const names = bootstrap.flatMap((text) => /^\/dns[46]?\/([^/]+)/.exec(text)?.[1] ?? []);
  const unknown = await Promise.all([...new Set(names)].map(unresolved));
  return [...findings, ...unknown.flat()];
}

async function unresolved(name: string): Promise<readonly Finding[]> {
  const next = `getent hosts ${name}`;
  try {
    const found = await moveOnAfter(DNS_MS, () => abandonOnCancel(lookup(name)));
    if (found.ok) return [];
    return [{ code: "dns-unknown", level: "problem", what: `no name server answers for ${name}`, next }];
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    return [
      {
        code: "dns-unknown",
        level: "problem",
        what: `the name ${name} cannot be resolved (${String(error.code)})`,
        next,
      },
    ];
  }
}

async function announceFiles({ announceFiles: files }: NodeConfig): Promise<readonly Finding[]> {
  const { examineAnnounce } = await import("../discovery/examine-announce.ts");
  return (await Promise.all(files.map(examineAnnounce))).flat();
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
