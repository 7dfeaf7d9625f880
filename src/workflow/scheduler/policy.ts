/** Who a task is meant for: the policies, and why it goes to whoever asks. */
import { ownerOf } from "../assignment.ts";
import { legacyOwner } from "../legacy-owner.ts";
import type { Membership } from "./membership.ts";
import type { WaitingTask } from "./task.ts";

/** `hash` is weighted rendezvous hashing (assignment.ts); `legacy` is the rule of the old system (legacy-owner.ts). */
export type PolicyName = "hash" | "legacy";

/**
 * How long a task is kept for its owner. Whoever works asks about once a second, so an owner that works has had its
 * chance by then; one that only sends heartbeats delays each of its tasks by no more than this.
 */
export const AFFINITY_WINDOW_MS = 2000;

/** Why somebody may have a task. */
export type Verdict =
  | {
      readonly may: true;
      readonly why: "owner" | "owner-gone" | "window-over" | "home";
      readonly owner: string;
    }
  | { readonly may: false; readonly why: "kept-for-owner" | "stays-home"; readonly owner: string };

/** What decides. */
export interface Judgement {
  readonly membership: Membership;
  readonly policy: PolicyName;
  /** The root of this node's clock; only `legacy` asks for it. */
  readonly clockRoot: () => string;
}

/** Whose a task is among those that are there, and `asker`, who is. */
export function ownerAmong(
  { membership, policy, clockRoot }: Judgement,
  hash: string,
  asker: string,
): string {
  if (policy === "legacy") {
    const order = membership.inOrder();
    return legacyOwner(order.includes(asker) ? order : [...order, asker], clockRoot(), hash) ?? asker;
  }
  const candidates = membership.candidates();
  const all = candidates.some(({ peerId }) => peerId === asker)
    ? candidates
    : [...candidates, { peerId: asker }];
  return ownerOf(hash, all) ?? asker;
}

/**
 * Whether `asker` may have a task that waits at this node.
 *
 * @param waitedMs - how long it has been there for whoever takes it
 */
export function judge(judgement: Judgement, task: WaitingTask, asker: string, waitedMs: number): Verdict {
  const { membership } = judgement;
  const { selfId } = membership;
  if (task.placement === "github" && asker === selfId) return { may: true, why: "home", owner: selfId };
  if (task.placement === "github") return { may: false, why: "stays-home", owner: selfId };
  const owner = ownerAmong(judgement, task.hash, asker);
  if (owner === asker) return { may: true, why: "owner", owner };
  if (!membership.isLive(owner)) return { may: true, why: "owner-gone", owner };
  if (waitedMs >= AFFINITY_WINDOW_MS) return { may: true, why: "window-over", owner };
  return { may: false, why: "kept-for-owner", owner };
}
