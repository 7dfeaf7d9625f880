import * as z from "zod";
import { isHealthy } from "../../peer/finding.ts";
import { reads } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { findingSchema } from "./diagnosis.ts";

/** An examination takes eight and a half seconds at most, what is wrong with the mechanisms included. */
const DEADLINE_MS = 10_000;

/** Says why a peer is not reached. */
export const why: Tool = defineTool({
  name: "p2p_why",
  description:
    "Say why a peer is not reached: asks every discovery mechanism, dials every address, and explains each failure with what to try next. Takes up to 10 s.",
  input: z.strictObject({ peer: z.string().min(1).describe("Peer id or multiaddr") }),
  output: z.looseObject({
    ok: z.literal(true),
    reached: z.boolean(),
    healthy: z.boolean(),
    findings: z.array(findingSchema),
    mechanisms: z.array(z.looseObject({ mechanism: z.string() })).describe("What was asked and dialled; ms"),
    connections: z.array(z.looseObject({ address: z.string() })),
  }),
  annotations: { ...reads("Explain a peer"), openWorldHint: true },
  // It dials what it is told to, and shows all addresses.
  grant: "admin",
  deadlineMs: DEADLINE_MS,

  async run({ peer }, context) {
    const target = peer.startsWith("/") ? { multiaddr: peer } : { peerId: peer };
    const { findings, examination } = await context.why(target);
    const { trace, connections, answers } = examination;
    return {
      ok: true as const,
      reached: connections.length > 0 || answers.length > 0,
      healthy: isHealthy(findings),
      findings: [...findings],
      mechanisms: trace.mechanisms.map((mechanism) => ({ ...mechanism })),
      connections: connections.map((connection) => ({ ...connection })),
      elapsed_ms: trace.elapsedMs,
    };
  },
});
