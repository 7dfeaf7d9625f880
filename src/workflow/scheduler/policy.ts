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
export interface JudgeOptions {
  readonly membership: Membership;
  readonly policy: PolicyName;
  /** The root of this node's clock; only `legacy` asks for it. */
  readonly clockRoot: () => string;
}

/** How many owners are remembered: a look goes through a few hundred tasks, and the next one through mostly the same. */
const MAX_REMEMBERED = 10_000;

/** Says who may have which task. Owners are remembered until the members change. */
export class Judge {
  readonly #options: JudgeOptions;
  readonly #owners = new Map<string, string>();
  /** Among whom the remembered owners were chosen. */
  #among = "";

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  /**
   * The rule for one look of `asker` at tasks that wait here: the members are those of this instant.
   *
   * @returns says whether it may have a task that has been free for `waitedMs`
   */
  ruleFor(asker: string): (task: WaitingTask, waitedMs: number) => Verdict {
    const { membership } = this.#options;
    const { selfId } = membership;
    const ownerOfHash = this.ownersFor(asker);
    return (task, waitedMs) => {
      if (task.placement === "github" && asker === selfId) return { may: true, why: "home", owner: selfId };
      if (task.placement === "github") return { may: false, why: "stays-home", owner: selfId };
      const owner = ownerOfHash(task.hash);
      if (owner === asker) return { may: true, why: "owner", owner };
      if (!membership.isLive(owner)) return { may: true, why: "owner-gone", owner };
      if (waitedMs >= AFFINITY_WINDOW_MS) return { may: true, why: "window-over", owner };
      return { may: false, why: "kept-for-owner", owner };
    };
  }

  /** Says whose a task is, by its hash, among those that are there now and `asker`, who is. */
  ownersFor(asker: string): (hash: string) => string {
    const choose = this.#choose(asker);
    return (hash) => {
      const known = this.#owners.get(hash);
      if (known !== undefined) return known;
      const owner = choose(hash) ?? asker;
      if (this.#owners.size >= MAX_REMEMBERED) this.#owners.clear();
      this.#owners.set(hash, owner);
      return owner;
    };
  }

  #choose(asker: string): (hash: string) => string | undefined {
    const { membership, policy, clockRoot } = this.#options;
    if (policy === "legacy") {
      const known = membership.inOrder();
      const order = known.includes(asker) ? known : [...known, asker];
      const root = clockRoot();
      this.#recall([root, ...order]);
      return (hash) => legacyOwner(order, root, hash);
    }
    const candidates = membership.candidates();
    const isThere = candidates.some(({ peerId }) => peerId === asker);
    const all = isThere ? candidates : [...candidates, { peerId: asker }];
    this.#recall(all.map(({ peerId, weight = 1 }) => `${peerId} ${weight}`).toSorted());
    return (hash) => ownerOf(hash, all);
  }

  /** Forgets the owners that were chosen among others. */
  #recall(members: readonly string[]): void {
    const among = JSON.stringify(members);
    if (among !== this.#among) this.#owners.clear();
    this.#among = among;
  }
}
