/** Makes workflow tasks of the workflows that repositories have, once for each content of a file. */
import { ConfigError, errorFacts } from "../../errors.ts";
import type { Clock } from "../../clock.ts";
import type { Logger } from "../../logger.ts";
import { rethrowIfCancelled, sleep } from "../../nursery/index.ts";
import type { WorkflowTask } from "../../workflow/scheduler/index.ts";
import { credentialsOf } from "../github-issues/credentials.ts";
import { Gate } from "../github-issues/gate.ts";
import type { TokenSource } from "../github-issues/settings.ts";
import { checkoutSource } from "./checkout.ts";
import { repositorySource } from "./repository.ts";
import { editionOf, taskOf, type WorkflowSource } from "./workflow-file.ts";

/** Where workflows are looked for, and what becomes of them. */
export interface GithubWorkflowsOptions {
  /** `owner/name`, or `owner/name=/path/of/a/checkout`. */
  readonly sources: readonly string[];
  /** Base URL of the REST API, without a slash at its end. */
  readonly api: string;
  readonly token: TokenSource;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Numbers from 0 to below 1, for pauses. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** Puts a task into the scheduler, once for each edition. */
  readonly submit: (task: WorkflowTask, edition: string) => Promise<"submitted" | "known" | "busy">;
}

const SUBJECT = {
  name: "the workflows of a repository on GitHub",
  hints: {
    401: "the token is wrong, was revoked or has expired: make a new one",
    403: "the token needs the repository permission 'Contents: read'",
    404: "check the name of the repository; a token that may not see a private one gets the same answer",
  },
};

/** Looks at all sources again and again, as long as it is not cancelled. */
export async function followGithubWorkflows(options: GithubWorkflowsOptions): Promise<never> {
  const { intervalMs } = options;
  const sources = await sourcesOf(options);
  const looks = sources.map((source) => new Look(source, options));
  for (;;) {
    for (const look of looks) await look.once();
    await sleep(intervalMs);
  }
}

async function sourcesOf({
  sources,
  api,
  token,
  clock,
  logger,
  random = Math.random,
}: GithubWorkflowsOptions): Promise<readonly WorkflowSource[]> {
  // With it comes the client of GitHub, which most nodes never need.
  const { GithubApi } = await import("../github-issues/api.ts");
  const client = new GithubApi({
    api,
    clock,
    logger,
    subject: SUBJECT,
    credentials: credentialsOf(token, api),
    gate: new Gate(clock, random),
  });
  return sources.map((source) => {
    const [repository = "", folder] = source.split(/=(.*)/s);
    return folder ? checkoutSource(repository, folder) : repositorySource(repository, client);
  });
}

/** One source and what of it has become tasks. */
class Look {
  readonly #source: WorkflowSource;
  readonly #options: GithubWorkflowsOptions;
  /** The last edition of each task that was submitted. */
  readonly #submitted = new Map<string, string>();
  /** Those to submit: new ones, and ones of which an earlier edition has not ended. */
  readonly #open = new Map<string, { readonly task: WorkflowTask; readonly edition: string }>();

  constructor(source: WorkflowSource, options: GithubWorkflowsOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** Reads the source and submits what is new. A source that fails is tried again the next time. */
  async once(): Promise<void> {
    const { repository } = this.#source;
    try {
      for (const file of (await this.#source.read()) ?? []) {
        const task = taskOf(repository, file);
        if (task) this.#open.set(task.taskId, { task, edition: editionOf(file) });
      }
      for (const { task, edition } of this.#open.values()) await this.#submit(task, edition);
    } catch (error) {
      rethrowIfCancelled(error);
      const level = error instanceof ConfigError ? "error" : "warn";
      this.#options.logger[level](
        { repository, ...errorFacts(error) },
        "workflows were not looked at this time",
      );
    }
  }

  async #submit(task: WorkflowTask, edition: string): Promise<void> {
    const { taskId, priority, tags } = task;
    const isKnown = this.#submitted.get(taskId) === edition;
    const outcome = isKnown ? "known" : await this.#options.submit(task, edition);
    if (outcome === "busy") return;
    this.#open.delete(taskId);
    this.#submitted.set(taskId, edition);
    if (outcome === "submitted")
      this.#options.logger.info({ taskId, priority, tags }, "a workflow was found");
  }
}
