/**
 * Text as PostgreSQL can keep it: it knows no NUL, which names, log lines and reasons may have.
 *
 * NUL becomes two characters U+0001, and U+0001 becomes U+0001 U+0002; so different texts stay different and keep
 * their order. JSON texts have neither, as JSON escapes them.
 */

/** What is kept for `text`. */
export function encodedText(text: string): string {
  if (!text.includes("\0") && !text.includes("\u0001")) return text;
  return text.replaceAll("\u0001", "\u0001\u0002").replaceAll("\0", "\u0001\u0001");
}

/** The text that was kept as `text`. */
export function decodedText(text: string): string {
  if (!text.includes("\u0001")) return text;
  return text.replaceAll("\u0001\u0001", "\0").replaceAll("\u0001\u0002", "\u0001");
}

/** A parameter of a statement with its texts coded, also those in lists. */
export function encodedValue(value: unknown): unknown {
  if (typeof value === "string") return encodedText(value);
  return Array.isArray(value) ? value.map(encodedValue) : value;
}
