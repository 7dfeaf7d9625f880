/**
 * The form of a registry comment: a marker that no reader of the page sees, and one JSON object.
 *
 * It is the Python system's: `<!-- PREFIX:WHO -->`, then a fenced block with members sorted and indented by two.
 */
import { isJsonObject, type JsonObject } from "../../content/json.ts";

const FENCE = "```";

/** A comment that says `content` about `who`. */
export function writeComment(prefix: string, who: string, content: JsonObject): string {
  return `<!-- ${prefix}:${who} -->\n${FENCE}json\n${JSON.stringify(sorted(content), undefined, 2)}\n${FENCE}\n`;
}

/**
 * The object in a comment.
 *
 * @returns undefined for everything that is not a comment of this registry, such as words of people
 */
export function parseComment(prefix: string, body: string): JsonObject | undefined {
  const text = body.trim();
  if (!text.startsWith(`<!-- ${prefix}:`)) return undefined;
  const fence = text.indexOf(`${FENCE}json`);
  const start = fence < 0 ? -1 : text.indexOf("\n", fence);
  // The last fence: the text between may hold some in its strings.
  const end = text.lastIndexOf(FENCE);
  if (start < 0 || end <= start) return undefined;
  return parseObject(text.slice(start + 1, end));
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    // Anybody can write anything below an issue; what is no JSON says nothing.
    return undefined;
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isJsonObject(value)) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : Number(a > b)));
  return Object.fromEntries(entries.map(([key, member]) => [key, sorted(member)]));
}
