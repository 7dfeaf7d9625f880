/** What the examination of a peer means, in words: see {@link Examination}. */
import { byLevel, type Finding } from "./finding.ts";
import type { DialOutcome, DialTrace, Examination, MechanismTrace, PeerAnswer } from "./trace.ts";

/** Clocks that differ by more spoil leases, expiries and signed records; machines with NTP differ by milliseconds. */
export const MAX_SKEW_MS = 60_000;

/** What explaining needs to know of this node. */
export interface ExplainOptions {
  readonly selfPeerId: string;
  readonly version: string;
  /** Addresses of this machine's network interfaces. */
  readonly ownIps: ReadonlySet<string>;
  /** The peer that was meant, if that is known. */
  readonly peerId: string | undefined;
}

/** What one outcome of a dial means: its code, the words after the address, and what to do. */
const DIALS: Readonly<Partial<Record<DialOutcome, readonly [string, string, string]>>> = {
  refused: [
    "address-refused",
    "the machine answers, but nobody listens on that port",
    "start the node there: mcpp serve; its ready line says where it listens",
  ],
  timeout: [
    "address-timeout",
    "nothing answered at all: the machine is off, or a firewall or router drops the packets",
    "on that machine: mcpp doctor; then open the port in its firewall, or give both nodes a relay",
  ],
  silent: [
    "address-silent",
    "something accepts connections there and then says nothing: it hangs, is no libp2p node, or has another swarm key",
    "look what listens on that port (ss -ltnp), and restart it if it is the node",
  ],
  "no-route": [
    "no-route",
    "this machine has no way to that network",
    "check the network here: ip route get <address>",
  ],
  "dns-failed": [
    "dns-unknown",
    "the name cannot be resolved",
    "check the name, and the name servers of this machine: getent hosts <name>",
  ],
  "wrong-peer": [
    "wrong-peer",
    "another peer answers there",
    "ask the node there for its id: mcpp id; then correct the address",
  ],
  "own-identity": [
    "duplicate-identity",
    "a process there has this node's own key",
    "give one of the two nodes a data folder of its own: mcpp serve --data-dir <folder>",
  ],
  "not-our-network": [
    "swarm-key-mismatch",
    "what is there has another swarm key, or none, or says nothing",
    "use the same swarm key on both nodes: mcpp config show",
  ],
  "handshake-failed": [
    "handshake-failed",
    "what answers there does not speak libp2p with Noise and Yamux, or needs a swarm key",
    "check that the port is the node's libp2p port, not its HTTP port: mcpp status --detail",
  ],
  "not-believed": [
    "address-not-believed",
    "it leads into a local network, and was named where anybody on the internet can write; it is not dialled",
    "if it is right, name it yourself: mcpp serve --bootstrap <multiaddr>; a registry of your own may hold such addresses: --github-local-addresses",
  ],
  "hearsay-limit": [
    "address-not-vouched-for",
    "it was not dialled, since too many addresses from there led nowhere lately",
    "wait a minute, or name the address yourself: mcpp serve --bootstrap <multiaddr>",
  ],
  denied: [
    "denied-here",
    "this node's own rules forbid to dial it",
    "look at the deny lists: mcpp config show",
  ],
  "relay-refused": [
    "relay-refused",
    "the relay does not carry connections to that peer now",
    "on that peer: mcpp doctor shows whether it has a place at the relay",
  ],
  unsupported: [
    "address-unsupported",
    "no transport of this node can use the address",
    "announce a /tcp or /ws address on the other node: mcpp serve --announce <multiaddr>",
  ],
  failed: ["dial-failed", "dialling failed", "mcpp serve --log-level debug shows the details"],
};

/** The findings of an examination, problems first. */
export function explain(examination: Examination, options: ExplainOptions): readonly Finding[] {
  const { trace, connections, answers } = examination;
  const reached = connections.length > 0 || answers.length > 0;
  const dials = trace.mechanisms.flatMap((mechanism) => mechanism.dials);
  const findings = [
    ...dials.flatMap((dial) => dialFindings(dial, reached, options)),
    ...trace.mechanisms.flatMap((mechanism) => mechanismFindings(mechanism, reached)),
    ...(reached || dials.length > 0 ? [] : [nothingKnown(trace.mechanisms, options)]),
    ...answers.flatMap((answer) => answerFindings(answer, options)),
    ...twins(answers),
    ...(reached ? [reachedFinding(examination)] : []),
  ];
  return findings.toSorted(byLevel);
}

function dialFindings(dial: DialTrace, reached: boolean, { ownIps }: ExplainOptions): readonly Finding[] {
  const { outcome = "timeout", address, detail } = dial;
  const meaning = DIALS[outcome];
  if (!meaning) return [];
  const [code, words, next] = meaning;
  const always = outcome === "wrong-peer" || outcome === "own-identity";
  const level = reached && !always ? "note" : "problem";
  const ip = /^\/ip[46]\/([^/]+)/.exec(address)?.[1];
  if (outcome === "refused" && ip !== undefined && ownIps.has(ip)) {
    const what = `${address}: this is an address of this machine, and nobody listens on it: the node there listens on loopback only, or not at all`;
    return [
      { code: "not-listening-on-lan", level, what, next: "mcpp serve --listen /ip4/0.0.0.0/tcp/<port>" },
    ];
  }
  const said = outcome === "failed" && detail !== undefined ? `${words}: ${detail}` : words;
  return [{ code, level, what: `${address}: ${said}`, next }];
}

function mechanismFindings(
  { mechanism, outcome, detail }: MechanismTrace,
  reached: boolean,
): readonly Finding[] {
  const level = reached ? "note" : "problem";
  if (outcome === "failed")
    return [
      { code: "mechanism-failed", level, what: `${mechanism}: ${detail ?? "failed"}`, next: "mcpp doctor" },
    ];
  if (outcome === undefined)
    return [
      { code: "mechanism-silent", level, what: `${mechanism}: did not answer in time`, next: "mcpp doctor" },
    ];
  return [];
}

function nothingKnown(mechanisms: readonly MechanismTrace[], { peerId }: ExplainOptions): Finding {
  const asked = mechanisms.map(({ mechanism }) => mechanism).join(", ") || "no mechanism is configured";
  return {
    code: "nothing-known",
    level: "problem",
    what: `no address of ${peerId ?? "that peer"} is known, and nobody names one (asked: ${asked})`,
    next: "tell this node where to look: mcpp serve --bootstrap <multiaddr>, or --announce-files <file of the other node>",
  };
}

function answerFindings(answer: PeerAnswer, { version }: ExplainOptions): readonly Finding[] {
  const { address, failed, proof, refused, skewMs = 0, status } = answer;
  if (failed) {
    const other = failed.code === "E_NOT_SUPPORTED_BY_PEER" || failed.code === "E_PROTOCOL";
    return [
      {
        code: other ? "protocol-mismatch" : "no-answer",
        level: "problem",
        what: `${address}: the peer is connected, but does not answer: ${failed.message}`,
        next: other ? "update the older of the two nodes: mcpp --version" : "restart the node there",
      },
    ];
  }
  const findings: Finding[] = [];
  const same =
    "use the same token file on both nodes (--token-file), or allow this node there: --allow-peer $(mcpp id)";
  if (proof === "refused")
    findings.push({
      code: "token-mismatch",
      level: "problem",
      what: "the peer has another shared token, so it takes this node for a stranger unless both are on one machine",
      next: same,
    });
  else if (refused !== undefined)
    findings.push({
      code: "not-trusted",
      level: "problem",
      what: `the peer is reached, but does not let this node work with it (${refused})`,
      next: same,
    });
  if (Math.abs(skewMs) > MAX_SKEW_MS)
    findings.push({
      code: "clock-skew",
      level: "problem",
      what: `its clock is ${Math.round(Math.abs(skewMs) / 1000)} s ${skewMs > 0 ? "ahead of" : "behind"} ours`,
      next: "set the clocks of both machines: timedatectl set-ntp true",
    });
  const theirs = status?.["version"];
  if (typeof theirs === "string" && theirs !== version)
    findings.push({
      code: "versions",
      level: "note",
      what: `it runs version ${theirs}, this node ${version}`,
    });
  return findings;
}

/** Two processes that have shown the same key. */
function twins(answers: readonly PeerAnswer[]): readonly Finding[] {
  const instances = new Map<string, string>();
  for (const { status, address } of answers) {
    const instance = status?.["instance"];
    if (typeof instance === "string") instances.set(instance, address);
  }
  if (instances.size < 2) return [];
  const places = [...instances.values()].join(" and ");
  return [
    {
      code: "duplicate-identity",
      level: "problem",
      what: `two nodes have the same identity, at ${places}`,
      next: "give one of them a data folder of its own: mcpp serve --data-dir <folder>",
    },
  ];
}

function reachedFinding({ answers, connections }: Examination): Finding {
  const [answer] = answers;
  const path = answer?.path ?? connections[0]?.path ?? "direct";
  const rtt = answer?.rttMs === undefined ? "" : `, ${Math.round(answer.rttMs)} ms away`;
  return { code: "reached", level: "ok", what: `the peer is reached (${path}${rtt})` };
}
