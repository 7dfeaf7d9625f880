/**
 * The issue of a registry: the open one with exactly the title and the lowest number.
 *
 * Two nodes that create one at the same time both see two afterwards, and agree on the lower number; whoever created
 * the other closes it. Issues are listed from the oldest on, not searched: GitHub's search learns of a new issue late.
 */
import * as z from "zod";
import type { Clock } from "../../clock.ts";
import type { Logger } from "../../logger.ts";
import { rethrowIfCancelled, sleep } from "../../nursery/index.ts";
import { type GithubApi, numberIn } from "./api.ts";
import { CREATE_JITTER_MS, ISSUE_CHECK_FIRST_MS, ISSUE_CHECK_MS, MAX_ISSUE_PAGES } from "./limits.ts";
import { Pages } from "./pages.ts";

const issueSchema = z.object({ number: z.int().positive(), title: z.string(), state: z.string() });

const EXPLANATION = `Nodes of mcplusplus find each other here. Each node has one comment, which it edits and deletes by itself.

A comment says under which addresses a node can be reached, until when, and is signed with the node's key. Closing this issue ends the registry; the nodes then create a new one.
`;

/** What an issue is looked for with. */
export interface IssueOptions {
  readonly api: GithubApi;
  readonly baseUrl: string;
  readonly repository: string;
  readonly title: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

/** Knows the number of the issue, and keeps that true. */
export class RegistryIssue {
  readonly #options: IssueOptions;
  readonly #list: Pages<number>;
  #number: number | undefined;
  #checkAt = -Infinity;
  #checkMs = ISSUE_CHECK_FIRST_MS;

  constructor(options: IssueOptions) {
    const { api, baseUrl, repository, title } = options;
    this.#options = options;
    this.#list = new Pages({
      api,
      baseUrl,
      path: `/repos/${repository}/issues?state=open&sort=created&direction=asc`,
      maxPages: MAX_ISSUE_PAGES,
      keep: (item) => numberIfTitled(item, title),
    });
  }

  /** The number that was found last. */
  get known(): number | undefined {
    return this.#number;
  }

  /** How long, in milliseconds, until it should be looked at again whether another issue counts. */
  get checkInMs(): number {
    return Math.max(0, this.#checkAt - this.#options.clock.now());
  }

  /** Whether nothing has changed for so long that it need not be looked at without another reason. */
  get isSettled(): boolean {
    return this.#checkMs >= ISSUE_CHECK_MS;
  }

  /** The number of the issue; undefined if there is none. */
  async find(): Promise<number | undefined> {
    if (this.#number !== undefined && this.checkInMs > 0) return this.#number;
    return this.#look();
  }

  /** The number of the issue, which is created if there is none. */
  async ensure(): Promise<number> {
    const found = await this.find();
    if (found !== undefined) return found;
    const { api, repository, title, random, logger } = this.#options;
    await sleep(random() * CREATE_JITTER_MS);
    const other = await this.#look();
    if (other !== undefined) return other;
    const body = { title, body: EXPLANATION };
    const created = numberIn(
      await api.send({ method: "POST", path: `/repos/${repository}/issues`, body }),
      "number",
    );
    logger.info({ repository, issue: created }, "created the issue of the registry");
    const lowest = Math.min(created, (await this.#look()) ?? created);
    this.#number = lowest;
    if (lowest !== created) await this.#close(created, lowest);
    return lowest;
  }

  /** Looks again at the next question: the issue is gone. */
  forget(): void {
    this.#number = undefined;
    this.#list.forget();
  }

  async #look(): Promise<number | undefined> {
    const { clock, logger, repository } = this.#options;
    const { items, truncated } = await this.#list.read((numbers) => numbers.length > 0);
    if (truncated && items.length === 0)
      logger.warn({ repository }, "too many open issues; use a repository of its own for the registry");
    const number = items.length === 0 ? undefined : Math.min(...items);
    if (number !== this.#number) this.#checkMs = ISSUE_CHECK_FIRST_MS;
    else if (number !== undefined) this.#checkMs = Math.min(this.#checkMs * 2, ISSUE_CHECK_MS);
    this.#number = number;
    this.#checkAt = clock.now() + this.#checkMs;
    return number;
  }

  async #close(number: number, winner: number): Promise<void> {
    const { api, repository, logger } = this.#options;
    logger.info({ issue: number, winner }, "another node created the issue too; ours is closed");
    try {
      await api.send({
        method: "PATCH",
        path: `/repos/${repository}/issues/${number}`,
        body: { state: "closed", state_reason: "not_planned" },
        mayBeGone: true,
      });
    } catch (error) {
      rethrowIfCancelled(error);
      // It harms nobody: the lower number counts.
      logger.warn({ issue: number, err: error }, "the superfluous issue could not be closed");
    }
  }
}

/** The number of an open issue with the title; pull requests are listed among issues too. */
function numberIfTitled(item: unknown, title: string): number | undefined {
  const parsed = issueSchema.safeParse(item);
  if (!parsed.success || parsed.data.title !== title || parsed.data.state !== "open") return undefined;
  return typeof item === "object" && item !== null && "pull_request" in item ? undefined : parsed.data.number;
}
