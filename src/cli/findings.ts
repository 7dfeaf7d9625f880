/** Findings as people read them. */
import { isJsonObject, type JsonObject } from "../content/json.ts";
import { byLevel, type Finding } from "../peer/finding.ts";
import type { Output, Style } from "./output.ts";
import { rows, text } from "./tasks.ts";

const MARKS: Readonly<Record<Finding["level"], readonly [string, Style]>> = {
  problem: ["✗", "red"],
  note: ["!", "yellow"],
  ok: ["✓", "green"],
};

/** The findings in a tool's answer. */
export function findingsIn(answer: JsonObject): readonly Finding[] {
  return rows(answer, "findings").flatMap((row) => {
    const level = text(row, "level");
    if (level !== "problem" && level !== "note" && level !== "ok") return [];
    const next = text(row, "next");
    return [{ code: text(row, "code"), level, what: text(row, "what"), ...(next !== "" && { next }) }];
  });
}

/** Each finding in a line, with what to try next below it; problems first. */
export function findingLines(findings: readonly Finding[], out: Output): string {
  return findings
    .toSorted(byLevel)
    .flatMap(({ code, level, what, next }) => {
      const [mark, style] = MARKS[level];
      const line = `${out.style(style, mark)} ${what} [${code}]`;
      return next === undefined || level === "ok" ? [line] : [line, `    try: ${next}`];
    })
    .join("\n");
}

/** What a search did, for people: each mechanism, and each address below it. */
export function mechanismLines(answer: JsonObject): readonly string[] {
  return rows(answer, "mechanisms").flatMap((row) => {
    const dials = Array.isArray(row["dials"]) ? row["dials"].filter(isJsonObject) : [];
    const head = `${text(row, "mechanism")}: ${text(row, "outcome") || "no answer in time"} (${span(row)})`;
    return [
      head,
      ...dials.map(
        (dial) =>
          `  ${text(dial, "address")}: ${text(dial, "outcome") || "no answer in time"} (${span(dial)})`,
      ),
    ];
  });
}

function span(row: JsonObject): string {
  const [from, to] = [row["startedMs"], row["endedMs"]];
  return typeof from === "number" && typeof to === "number" ? `${to - from} ms` : "not ended";
}
