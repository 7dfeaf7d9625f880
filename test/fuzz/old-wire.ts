/**
 * The way in of old peers: newline JSON, one request a stream.
 *
 * Each message is a stream of its own, cut into chunks at random, because what a request is depends on where its
 * chunks end. Some lines are no longer JSON, some are JSON of Python's kind only, and some never end.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { multiaddr } from "@multiformats/multiaddr";
import { TASK_QUEUE_PROTOCOL } from "../../src/p2p/message.ts";
import { type RawPeer, rawPeer } from "../p2p/raw-peer.ts";
import type { Random } from "../support/random.ts";
import { OLD_REQUESTS } from "./corpus.ts";
import { type Face, listener, PROBE_MS, QUIET_MS } from "./face.ts";
import { mutateBytes, mutateValue } from "./mutate.ts";

const PROBE = Buffer.from('{"op":"status","detail":true}\n');
const PROBE_SEEN = '"known_peers"';
const NEWLINE = "\n";
const MAX_CHUNKS = 4;
/** As many streams may be refused: all that are open at once, if the connection breaks, and two in a hundred. */
const MAX_REFUSED = 100;
const MAX_REFUSED_SHARE = 0.02;
/** More than all lanes of a run have open. */
const MAX_STREAMS = 512;

/** What Python's reader takes for a number, and what no reader does. */
const NUMERALS = [
  "NaN",
  "-Infinity",
  "Infinity",
  "1e400",
  "-0",
  "9".repeat(30),
  `-${"9".repeat(4300)}`,
  "9".repeat(5000),
  '{"$integer":"9"}',
  `{"$integer":"${"9".repeat(20)}"}`,
  "01",
  "0x1f",
];
/** How a line ends: mostly as it should. */
const ENDINGS = [NEWLINE, NEWLINE, NEWLINE, NEWLINE, "\r\n", "\n\n", '\n{"op":"status"}\n', " \n", ""];

/** The face of `/ipfs-datasets/task-queue/1.0.0`. */
export const oldWireFace: Face = {
  name: TASK_QUEUE_PROTOCOL,
  perConnection: 12,
  probeSeen: PROBE_SEEN,
  async open({ p2p }) {
    const peer = await rawPeer();
    let begun = 0;
    let refused = 0;
    const one = async (said: Said): Promise<void> => {
      begun += 1;
      const error = await exchange(peer, p2p, said, QUIET_MS).then(() => undefined, errorOf);
      if (error !== undefined) refused += 1;
      // A busy node may refuse a stream. If it refused many, little would be sent.
      if (refused > MAX_REFUSED + begun * MAX_REFUSED_SHARE)
        throw new Error(`${refused} of ${begun} streams were refused`, { cause: error });
    };
    return {
      async send(random, messages) {
        const said = Array.from({ length: messages }, () => chunksOf(lineOf(random), random));
        await Promise.all(said.map(one));
      },
      probe: () => exchange(peer, p2p, { parts: [PROBE], after: "open" }, PROBE_MS),
      [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
    };
  },
};

function lineOf(random: Random): Buffer {
  const text = `${JSON.stringify(mutateValue(random.pick(OLD_REQUESTS), random))}${random.pick(ENDINGS)}`;
  switch (random.below(4)) {
    case 0:
      return mutateBytes(Buffer.from(`${JSON.stringify(random.pick(OLD_REQUESTS))}${NEWLINE}`), random);
    case 1:
      return Buffer.from(text.replace(/-?\d+(\.\d+)?/, random.pick(NUMERALS)));
    default:
      return Buffer.from(text);
  }
}

function errorOf(error: unknown): unknown {
  return error;
}

/** What is said on one stream, and what follows: more might, nothing will, or the stream breaks. */
interface Said {
  readonly parts: readonly Buffer[];
  readonly after: "open" | "half-close" | "reset";
}

function chunksOf(line: Buffer, random: Random): Said {
  const cuts = Array.from({ length: random.below(MAX_CHUNKS) }, () => random.below(line.length + 1));
  const edges = [0, ...cuts.toSorted((a, b) => a - b), line.length];
  const parts = edges.slice(1).map((to, i) => line.subarray(edges[i], to));
  const wanted = random.below(16);
  // Who waits for an answer to half a line waits in vain, and here nobody has the time to see it many times.
  const patient = line.includes(NEWLINE) || wanted === 1;
  const after = patient && random.below(2) === 0 ? "open" : "half-close";
  return { parts: parts.filter((part) => part.length > 0), after: wanted === 0 ? "reset" : after };
}

/** One stream, to its end or until nothing moves on it. @returns what was answered */
async function exchange(peer: RawPeer, p2p: string, said: Said, quietMs: number): Promise<string> {
  // Opens a connection only if there is none.
  const connection = await peer.node.dial(multiaddr(p2p));
  const stream = await connection.newStream(TASK_QUEUE_PROTOCOL, {
    maxOutboundStreams: MAX_STREAMS,
    signal: AbortSignal.timeout(PROBE_MS),
  });
  const end = (): void => stream.abort(new Error("seen enough"));
  const quiet = setTimeout(end, quietMs);
  const heard = listener(NEWLINE, end);
  const closed = new Promise<void>((resolve) => {
    stream.addEventListener("close", () => resolve());
    // It may have happened before anybody listened.
    if (stream.status !== "open") resolve();
  });
  stream.addEventListener("message", ({ data }) => {
    quiet.refresh();
    heard.push(Buffer.from(data.subarray()));
  });
  for (const part of said.parts) {
    if (stream.writeStatus !== "writable") break;
    stream.send(part);
    await nextTurn();
  }
  // Fails if the other side has ended the stream meanwhile, as it may.
  if (said.after === "half-close") await stream.close().catch(end);
  else if (said.after === "reset") end();
  await closed;
  clearTimeout(quiet);
  return heard.text();
}
