/** Containers for tasks: what is there to run them, and the runs that are under way. */
import { join } from "node:path";
import type { Clock } from "../../clock.ts";
import type { JsonObject } from "../../content/json.ts";
import { InvalidInputError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { moveOnAfter, type Nursery, suspend } from "../../nursery/index.ts";
import type { Task } from "../../task/task.ts";
import type { HandlerContext } from "../handlers/handler.ts";
import { readBuild, withBuilt } from "./build.ts";
import { type Engine, findEngine } from "./engine.ts";
import { checkImage, grant } from "./grant.ts";
import { type ImageFacts, needImage } from "./image.ts";
import { parseImage } from "./image-name.ts";
import { marksOf, openOwner, type Owner } from "./owner.ts";
import type { ContainerPolicy } from "./policy.ts";
import { reap } from "./reap.ts";
import { readRun, type RunRequest } from "./request.ts";
import { runContainer } from "./run.ts";

/** Options of {@link openContainers}. */
export interface ContainersOptions {
  /** Owns the runs: they end with it, and it waits until their containers are removed. */
  readonly nursery: Nursery;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly policy: ContainerPolicy;
  /** Socket of the engine; undefined means the first of the usual ones that answers. */
  readonly socket: string | undefined;
  /** The node's data folder. */
  readonly dataDir: string;
}

/** What runs containers for tasks. */
export interface Containers {
  readonly policy: ContainerPolicy;
  readonly engine: Engine;
  /** Runs an image that the payload names (contract.md 6.4). */
  execute(task: Task, context: HandlerContext): Promise<JsonObject>;
  /** Builds a repository that the payload names, and runs what came of it (contract.md 6.5). */
  executeRepository(task: Task, context: HandlerContext): Promise<JsonObject>;
  /** Runs a program in the policy's own image. */
  executeProgram(task: Task, argv: readonly string[], context: HandlerContext): Promise<JsonObject>;
  /** Waits until every container of a run that was stopped is gone; at most {@link CLOSE_LIMIT_MS}. */
  close(): Promise<void>;
}

/** Killing and removing has its own limit; this is a little more. */
export const CLOSE_LIMIT_MS = 50_000;

/** Finds the engine, and removes what an earlier process left there. @throws UnreachableError without an engine */
export async function openContainers(options: ContainersOptions): Promise<Containers> {
  const { logger, dataDir, socket } = options;
  const engine = await findEngine(socket);
  const owner = await openOwner(join(dataDir, "containers"));
  await reap(engine, owner, logger);
  const { version, missing } = engine;
  logger.info({ socket: engine.socket, version }, "tasks may run containers here");
  if (missing.length > 0)
    logger.warn({ missing }, "the container engine cannot keep all limits on this machine");
  return new OpenContainers(options, engine, owner);
}

class OpenContainers implements Containers {
  readonly policy: ContainerPolicy;
  readonly engine: Engine;
  readonly #options: ContainersOptions;
  readonly #owner: Owner;
  #running = 0;
  readonly #idle = new Set<() => void>();

  constructor(options: ContainersOptions, engine: Engine, owner: Owner) {
    this.policy = options.policy;
    this.engine = engine;
    this.#options = options;
    this.#owner = owner;
  }

  execute(task: Task, context: HandlerContext): Promise<JsonObject> {
    return this.#own(context, async () => {
      const { image } = task.payload;
      if (typeof image !== "string" || image.trim() === "")
        throw new InvalidInputError("docker task missing payload.image");
      const name = parseImage(image.trim());
      checkImage(name, this.policy);
      const request = readRun(task.payload);
      // Refused before anything is fetched.
      await grant(request, this.policy);
      const facts = await needImage(this.engine, name, this.policy, context.progress);
      return this.#run(task, request, facts, context);
    });
  }

  executeRepository(task: Task, context: HandlerContext): Promise<JsonObject> {
    return this.#own(context, async () => {
      const build = readBuild(task.payload, this.policy);
      const request = readRun(task.payload);
      await grant(request, this.policy);
      const { progress: tell, log } = context;
      const { logger } = this.#options;
      const marks = marksOf(this.#owner, task.id);
      const options = {
        engine: this.engine,
        policy: this.policy,
        owner: this.#owner,
        marks,
        tell,
        log,
        logger,
      };
      return withBuilt(build, options, async (image, commit) => ({
        ...(await this.#run(task, request, image, context)),
        repo_url: build.source.url,
        commit,
      }));
    });
  }

  executeProgram(task: Task, argv: readonly string[], context: HandlerContext): Promise<JsonObject> {
    return this.#own(context, async () => {
      const { shellImage } = this.policy;
      if (shellImage === undefined) throw new InvalidInputError("this worker has no image for shell tasks");
      const { timeout_s: timeout } = task.payload;
      const request = readRun({
        entrypoint: [...argv],
        command: [],
        ...(timeout === undefined ? {} : { timeout }),
      });
      const facts = await needImage(this.engine, parseImage(shellImage), this.policy, context.progress);
      return this.#run(task, request, facts, context);
    });
  }

  async close(): Promise<void> {
    await moveOnAfter(CLOSE_LIMIT_MS, async () => {
      while (this.#running > 0) {
        await suspend<void>((resume, fail) => {
          this.#idle.add(resume);
          return (reason) => {
            this.#idle.delete(resume);
            fail(reason);
          };
        });
      }
    });
  }

  /**
   * Runs in the node's nursery, not in the job's: a job that is stopped is over at once, and its container must be removed
   * all the same before the node ends.
   */
  async #own<T>({ signal }: HandlerContext, body: () => Promise<T>): Promise<T> {
    this.#running++;
    try {
      return await this.#options.nursery.run(body, { signal }, "container");
    } finally {
      this.#running--;
      if (this.#running === 0) {
        for (const wake of this.#idle) wake();
        this.#idle.clear();
      }
    }
  }

  async #run(
    task: Task,
    request: RunRequest,
    image: ImageFacts,
    { progress, log }: HandlerContext,
  ): Promise<JsonObject> {
    const { clock, logger } = this.#options;
    const granted = await grant(request, this.policy);
    const marks = marksOf(this.#owner, task.id);
    progress({ phase: "running", image: image.name, task_type: task.type });
    const options = { engine: this.engine, policy: this.policy, clock, logger, image, granted, marks, log };
    try {
      const result = await runContainer(options);
      return { ...result };
    } finally {
      progress({ phase: "exited" });
    }
  }
}
