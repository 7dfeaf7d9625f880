import * as z from "zod";
import { isHealthy } from "../../peer/finding.ts";
import { reads } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { findingSchema, findingsFor } from "./diagnosis.ts";

/** A check-up looks at all mechanisms at once and gives up on each after six seconds. */
const DEADLINE_MS = 10_000;

/** Checks what a node needs to find peers and to be found. */
export const doctor: Tool = defineTool({
  name: "p2p_doctor",
  description:
    "Check why this node finds no peers or is not found: addresses, discovery mechanisms, identity, clocks. Each finding says what to try next.",
  input: z.strictObject({}),
  output: z.object({ ok: z.literal(true), healthy: z.boolean(), findings: z.array(findingSchema) }),
  annotations: { ...reads("Check the network"), openWorldHint: true },
  grant: "observe",
  deadlineMs: DEADLINE_MS,

  async run(_, context) {
    const findings = await context.checkUp();
    const shown = findingsFor(context.caller, findings);
    return { ok: true as const, healthy: isHealthy(findings), findings: shown };
  },
});
