/** Reading and writing the comments of a registry. */
import * as z from "zod";
import type { JsonObject } from "../../content/json.ts";
import type { Logger } from "../../logger.ts";
import { ConfigError } from "../../errors.ts";
import { sleep } from "../../nursery/index.ts";
import { type GithubApi, numberIn } from "./api.ts";
import { writeComment } from "./comment.ts";
import { type Entry, readEntry } from "./entry.ts";
import { MissingError } from "./failure.ts";
import type { RegistryIssue } from "./issue.ts";
import { MAX_CLEANUP, MAX_COMMENT_PAGES, WRITE_GAP_MS } from "./limits.ts";
import { Pages } from "./pages.ts";
import { isLive } from "./registry-record.ts";

/** What a registry is made of. */
export interface RegistryOptions {
  readonly api: GithubApi;
  readonly issue: RegistryIssue;
  readonly baseUrl: string;
  readonly repository: string;
  readonly title: string;
  readonly peerId: string;
  readonly logger: Logger;
}

const writtenSchema = z.object({ user: z.object({ login: z.string() }) });

/** The registry as one node uses it. Its methods must not run at the same time. */
export class Registry {
  readonly #options: RegistryOptions;
  #pages: { readonly issue: number; readonly list: Pages<Entry> } | undefined;
  #own: { readonly issue: number; readonly commentId: number } | undefined;
  /** Comments with our record that we may not edit: somebody copied it. */
  readonly #foreign = new Set<number>();
  #entries: readonly Entry[] = [];
  #login: string | undefined;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /** What was read last. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** The login that this node writes as, once it has written. */
  get login(): string | undefined {
    return this.#login;
  }

  /** The issue that holds this node's comment. */
  get publishedIn(): number | undefined {
    return this.#own?.issue;
  }

  /** Whether this node's comment is in an issue that does not count any more. */
  get isElsewhere(): boolean {
    return this.#own !== undefined && this.#own.issue !== this.#options.issue.known;
  }

  /** Reads all entries; none if there is no issue. */
  async read(): Promise<void> {
    await this.#whereItIs(async () => {
      const issue = await this.#options.issue.find();
      this.#entries = issue === undefined ? [] : await this.#readFrom(issue);
    });
  }

  /** Writes this node's record into its one comment, in the issue that counts now; both are made if need be. */
  async publish(content: JsonObject): Promise<void> {
    const { title, peerId } = this.#options;
    const body = writeComment(title, peerId, content);
    await this.#whereItIs(async () => {
      const issue = await this.#options.issue.ensure();
      const before = this.#own;
      if (before?.issue === issue && (await this.#edit(before.commentId, body))) return;
      // Read before writing: our comment may be there, from an earlier start or a write whose answer was lost.
      this.#entries = await this.#readFrom(issue);
      await this.#write(issue, body);
      if (before !== undefined && before.issue !== issue) await this.#delete(before.commentId);
    });
  }

  /** Deletes this node's comment, if it has written one. */
  async withdraw(): Promise<void> {
    const own = this.#own;
    this.#own = undefined;
    if (own !== undefined) await this.#delete(own.commentId);
  }

  /** Deletes expired records of others, a few at a time. @returns how many */
  async cleanUp(): Promise<number> {
    const now = this.#options.api.serverNow();
    const expired = this.#entries.filter(({ record }) => !isLive(record, now));
    const others = expired.filter(({ commentId }) => commentId !== this.#own?.commentId);
    let count = 0;
    for (const { commentId } of others.slice(0, MAX_CLEANUP)) {
      if (count > 0) await sleep(WRITE_GAP_MS);
      await this.#delete(commentId);
      this.#entries = this.#entries.filter((entry) => entry.commentId !== commentId);
      count += 1;
    }
    return count;
  }

  /** Does it again once if the issue turns out to be gone. */
  async #whereItIs(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof MissingError)) throw error;
      this.#options.issue.forget();
      this.#pages = undefined;
      this.#own = undefined;
      await work();
    }
  }

  async #readFrom(issue: number): Promise<readonly Entry[]> {
    const { api, baseUrl, repository, title, logger } = this.#options;
    if (this.#pages?.issue !== issue) {
      const path = `/repos/${repository}/issues/${issue}/comments`;
      const keep = (item: unknown): Promise<Entry | undefined> => readEntry(item, title, api.serverNow());
      const list = new Pages({ api, baseUrl, path, maxPages: MAX_COMMENT_PAGES, keep, mayBeGone: true });
      this.#pages = { issue, list };
    }
    const { items, truncated } = await this.#pages.list.read();
    if (truncated) logger.warn({ repository, issue }, "the registry has more comments than are read");
    return items;
  }

  async #write(issue: number, body: string): Promise<void> {
    const mine = this.#entries
      .filter(({ record }) => record.signed && record.peerId === this.#options.peerId)
      .map(({ commentId }) => commentId)
      .filter((commentId) => !this.#foreign.has(commentId));
    const [kept, ...superfluous] = mine;
    if (kept !== undefined && (await this.#edit(kept, body))) {
      this.#own = { issue, commentId: kept };
      for (const commentId of superfluous) await this.#delete(commentId);
      return;
    }
    const { api, repository } = this.#options;
    const path = `/repos/${repository}/issues/${issue}/comments`;
    const answer = await api.send({ method: "POST", path, body: { body }, mayBeGone: true });
    this.#own = { issue, commentId: numberIn(answer, "id") };
    this.#learnLogin(answer.body);
  }

  /** @returns whether the comment is still there and ours to edit */
  async #edit(commentId: number, body: string): Promise<boolean> {
    const { api } = this.#options;
    try {
      const answer = await api.send({
        method: "PATCH",
        path: this.#comment(commentId),
        body: { body },
        mayBeGone: true,
        mayBeForeign: true,
      });
      this.#learnLogin(answer.body);
      return true;
    } catch (error) {
      if (!(error instanceof MissingError)) throw error;
      this.#foreign.add(commentId);
      this.#own = undefined;
      return false;
    }
  }

  async #delete(commentId: number): Promise<void> {
    const { api, logger } = this.#options;
    try {
      await api.send({
        method: "DELETE",
        path: this.#comment(commentId),
        mayBeGone: true,
        mayBeForeign: true,
      });
    } catch (error) {
      // Gone already is what was wanted; not ours to delete is for its owner to solve.
      if (!(error instanceof MissingError) && !(error instanceof ConfigError)) throw error;
      logger.debug({ commentId, err: error }, "a comment of the registry was not deleted");
    }
  }

  #comment(commentId: number): string {
    return `/repos/${this.#options.repository}/issues/comments/${commentId}`;
  }

  #learnLogin(body: unknown): void {
    const parsed = writtenSchema.safeParse(body);
    if (parsed.success) this.#login = parsed.data.user.login;
  }
}
