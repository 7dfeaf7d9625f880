/** What a caller may be allowed to do. */

/**
 * A permission, from least to most:
 * `status` ask whether the node is up and what it can do (everybody has it) · `observe` read tasks and peers ·
 * `submit` put tasks in and cancel them · `work` claim and complete tasks · `cache` read and write the shared cache ·
 * `tools:<pattern>` call the tools whose name matches (`*` stands for any run of characters) · `admin` everything.
 */
export type Grant = "status" | "observe" | "submit" | "work" | "cache" | "admin" | `tools:${string}`;

/** What an unknown caller has. */
export const UNKNOWN_CALLER_GRANTS: readonly Grant[] = ["status"];

/** What a trusted node has: one on the owner's machine, on the allow-list, or with the shared token. */
export const TRUSTED_PEER_GRANTS: readonly Grant[] = [
  "status",
  "observe",
  "submit",
  "work",
  "cache",
  "tools:*",
];

/** What the owner has. */
export const OWNER_GRANTS: readonly Grant[] = ["admin"];

/** Whether a caller with `held` may do what needs `needed`. Fails closed: an unknown grant matches nothing. */
export function covers(held: readonly Grant[], needed: Grant): boolean {
  return held.some((grant) => grant === "admin" || grant === needed || matchesTools(grant, needed));
}

function matchesTools(held: Grant, needed: Grant): boolean {
  if (!held.startsWith("tools:") || !needed.startsWith("tools:")) return false;
  const literal = held
    .slice("tools:".length)
    .split("*")
    .map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&"));
  return new RegExp(`^${literal.join(".*")}$`, "s").test(needed.slice("tools:".length));
}
