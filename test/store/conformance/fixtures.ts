/** What the tests of stores are made of. */
import type { Stores } from "../../../src/store/index.ts";
import type { HeldLease, StoreClaim, StoredClaim, TaskDraft, TaskStore } from "../../../src/task/store.ts";

/** Opens stores that start empty. The caller closes them. */
export type OpenStores = () => Promise<Stores>;

/** A draft of an `echo` task. */
export function draft(id: string, parts: Partial<TaskDraft> = {}): TaskDraft {
  const type = parts.type ?? "echo";
  const plain = {
    id,
    type,
    modelName: "",
    payload: { id },
    priority: 5,
    maxAttempts: 3,
    digest: id,
    lane: type,
  };
  return { ...plain, ...parts };
}

const ANY = { choice: { lanes: [], ranges: [{ from: "" }] }, limit: 1, maxBytes: 1e9 };

/** Only these lanes. */
export function only(...lanes: string[]): Pick<StoreClaim, "choice"> {
  return { choice: { lanes, ranges: [] } };
}

/** A claim of one task of any lane, under a lease until 1,000. */
export function claimOf(parts: Partial<StoreClaim> = {}): StoreClaim {
  return { workerId: "w", holder: "h", ...ANY, leaseUntilMs: 1000, ...parts };
}

/** Claims exactly one task at `nowMs`. */
export async function claimOne(
  tasks: TaskStore,
  nowMs = 0,
  parts: Partial<StoreClaim> = {},
): Promise<StoredClaim> {
  const [claimed, ...more] = await tasks.claim(claimOf(parts), nowMs);
  if (!claimed || more.length > 0) throw new Error("expected to claim one task");
  return claimed;
}

/** The lease that a claim gave. */
export function leaseOf({ task, token }: StoredClaim, holder = "h"): HeldLease {
  return { taskId: task.id, token, holder };
}

/** The ids of claimed tasks, in order. */
export function idsOf(claims: readonly StoredClaim[]): string[] {
  return claims.map(({ task }) => task.id);
}
