/** Why an announce file leads nowhere, for people: the discovery itself passes over what it cannot use. */
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import type { Finding } from "../peer/finding.ts";
import { isSameProcess } from "../process.ts";

const START = "start the node that writes it: mcpp serve --announce-file <file>";

/** What keeps the file from naming a peer; empty if it does name one. */
export async function examineAnnounce(file: string): Promise<readonly Finding[]> {
  const problem = (code: string, what: string, next: string): readonly Finding[] => [
    { code, level: "problem", what: `the announce file ${file} ${what}`, next },
  ];
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
    if (code === "ENOENT") return problem("announce-missing", "is not there", START);
    return problem("announce-unreadable", `cannot be read (${code})`, `mend its permissions: ls -l ${file}`);
  }
  const value = fieldsOf(text);
  if (typeof value["peer_id"] !== "string" || typeof value["multiaddr"] !== "string")
    return problem("announce-damaged", "is damaged: it is no JSON with peer_id and multiaddr", START);
  const { pid, host, started_at: startedAt } = value;
  const isHere = typeof pid === "number" && host === hostname();
  if (isHere && !isSameProcess(pid, typeof startedAt === "string" ? startedAt : undefined))
    return problem("announce-stale", `was left behind by process ${pid}, which has ended`, START);
  return [];
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    // Damaged, which is what is asked here.
    return {};
  }
}
