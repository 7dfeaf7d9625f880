import { loadConfig, SETTING_NAMES } from "../../config.ts";
import { ConfigError, McpError } from "../../errors.ts";
import type { Finding } from "../../peer/finding.ts";
import type { Command, Invocation } from "../command.ts";

/** A node checks itself within this time. */
const CHECK_MS = 9000;

/** Checks a node and what it needs. */
export const doctor: Command = {
  name: "doctor",
  summary: "Check what a node needs to find peers and to be found, and say what to do about it.",
  description:
    "Checks the configuration, the data folder, ports, names and announce files; if the node runs, it also checks itself. Changes nothing and takes ten seconds at most. Exit code 0: healthy; 1: there are problems.",
  args: [],
  options: [],
  settings: SETTING_NAMES,
  client: true,
  examples: [
    { line: "mcpp doctor", does: "the node of this user, running or not" },
    { line: "mcpp doctor --json", does: "for programs" },
  ],
  json: '{"ok":true,"healthy":boolean,"running":boolean,"findings":{"code":string,"level":"problem"|"note"|"ok","what":string,"next"?:string}[]}',

  async run(invocation) {
    const { out } = invocation;
    const { findingLines } = await import("../findings.ts");
    const { isHealthy } = await import("../../peer/finding.ts");
    const { findings, running } = await examine(invocation);
    const healthy = isHealthy(findings);
    out.result(findingLines(findings, out), { ok: true, healthy, running, findings });
    if (!healthy) out.exitCode = 1;
  },
};

interface Checked {
  readonly findings: readonly Finding[];
  readonly running: boolean;
}

async function examine(invocation: Invocation): Promise<Checked> {
  const { checkUp, lockedFinding } = await import("../../node/checkup.ts");
  const { holderOf } = await import("../../data-folder.ts");
  try {
    const { config } = loadConfig({ flags: invocation.flags });
    const [own, asked, holder] = await Promise.all([
      checkUp(config),
      askNode(invocation),
      holderOf(config.dataDir),
    ]);
    const locked = holder && !asked ? [lockedFinding(config, holder)] : [];
    const idle: Finding = {
      code: "not-running",
      level: "note",
      what: "no node runs here",
      next: "mcpp serve",
    };
    const rest = asked ?? (holder ? locked : [idle]);
    // The running node's word on what both have looked at.
    const said = new Set(rest.map(({ code, what }) => `${code} ${what}`));
    const codes = new Set(rest.map(({ code }) => code));
    const mine = own.filter(
      ({ code, what }) => !said.has(`${code} ${what}`) && !(code === "p2p-off" && codes.has(code)),
    );
    return { findings: [...mine, ...rest], running: asked !== undefined };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const { message, hint = "mcpp config show" } = error;
    return {
      findings: [{ code: "config-invalid", level: "problem", what: message, next: hint }],
      running: false,
    };
  }
}

/** What the running node finds; undefined if none can be talked to. */
async function askNode(invocation: Invocation): Promise<readonly Finding[] | undefined> {
  const { withNode } = await import("../session.ts");
  const { findingsIn } = await import("../findings.ts");
  const { moveOnAfter } = await import("../../nursery/index.ts");
  try {
    const outcome = await moveOnAfter(CHECK_MS, () =>
      withNode(invocation, async (session) => findingsIn(await session.call("p2p_doctor", {}, CHECK_MS))),
    );
    return outcome.value;
  } catch (error) {
    // That nobody is there is a finding, not a failure.
    if (error instanceof McpError && error.retryable) return undefined;
    throw error;
  }
}
