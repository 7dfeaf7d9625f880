/** From a repository to an image: fetch, check, build; and the removal of everything that came of it. */
import { randomUUID } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as z from "zod";
import type { JsonObject } from "../../content/json.ts";
import { errorFacts, InvalidInputError, WorkFailedError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import {
  abortable,
  failAfter,
  moveOnAfter,
  openNursery,
  rethrowIfCancelled,
  shield,
} from "../../nursery/index.ts";
import { endGroup, groupMark, groupName } from "./control-group.ts";
import { checkDockerfile } from "./dockerfile.ts";
import { ask, type Engine, engineFailure, statusOf } from "./engine.ts";
import { allowedSource, fetchCommit, type Source, tooLarge, withGit } from "./git.ts";
import { refused } from "./grant.ts";
import { followEvents, type ImageFacts, lookUpImage, type Tell } from "./image.ts";
import type { LogLine } from "./output.ts";
import { type Marks, type Owner, PROCESS_FILE, RUN_LABEL } from "./owner.ts";
import { BUILD_LIMIT_MS, type ContainerPolicy, MAX_CONTEXT_BYTES } from "./policy.ts";
import { parse, pythonText } from "./request.ts";
import { contextTree, insidePath, readDockerfile, tarFile } from "./tree.ts";

/** What is to be built. */
export interface BuildRequest {
  readonly source: Source;
  readonly dockerfile: string;
  readonly context: string;
  readonly args: Readonly<Record<string, string>>;
}

/** What a build needs. */
export interface BuildOptions {
  readonly engine: Engine;
  readonly policy: ContainerPolicy;
  readonly owner: Owner;
  readonly marks: Marks;
  readonly tell: Tell;
  readonly log: LogLine;
  readonly logger: Logger;
}

/** How long removing images may take. */
const REMOVE_LIMIT_MS = 45_000;
/** The period over which the kernel counts processor time, in microseconds; its own default. */
const CPU_PERIOD_US = 100_000;
/** What the builder's own set of capabilities has and no build of ours needs. */
const DROPPED = [
  "CAP_NET_RAW",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_MKNOD",
  "CAP_AUDIT_WRITE",
  "CAP_KILL",
  "CAP_SETFCAP",
];

const text = z.string().trim().min(1);
const buildSchema = z.object({
  repo_url: text.nullish(),
  repo: text.nullish(),
  branch: text.nullish(),
  commit: text.nullish(),
  dockerfile_path: text.nullish(),
  dockerfile: text.nullish(),
  context_path: text.nullish(),
  context: text.nullish(),
  build_args: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).nullish(),
});

/** Reads the part of a payload that says what to build. @throws InvalidInputError, WorkFailedError `E_CONTAINER_DENIED` */
export function readBuild(payload: JsonObject, policy: ContainerPolicy): BuildRequest {
  const read = parse(buildSchema, payload);
  const repository = read.repo_url ?? read.repo;
  if (repository === null || repository === undefined)
    throw new InvalidInputError("docker.github task missing payload.repo_url");
  const source = allowedSource(repository, read.commit ?? read.branch ?? "main", policy.repositories);
  if (!source)
    throw refused(
      `the repository '${repository.slice(0, 200)}'`,
      "--container-repository names those that it does",
    );
  const args = Object.entries(read.build_args ?? {});
  return {
    source,
    dockerfile: insidePath("dockerfile_path", read.dockerfile_path ?? read.dockerfile ?? "Dockerfile"),
    context: insidePath("context_path", read.context_path ?? read.context ?? "."),
    args: Object.fromEntries(args.map(([name, value]) => [name, pythonText(value)])),
  };
}

/** Builds the image, gives it to `use`, and removes it and the clone whichever way that ends. */
export async function withBuilt<T>(
  request: BuildRequest,
  options: BuildOptions,
  use: (image: ImageFacts, commit: string) => Promise<T>,
): Promise<T> {
  const { owner, marks, engine, logger } = options;
  const folder = join(owner.folder, `clone-${marks.run}`);
  await mkdir(folder, { mode: 0o700 });
  // Until the image is built and gone, so that whoever finds it knows what to look for.
  await writeFile(join(folder, PROCESS_FILE), owner.process, { mode: 0o600 });
  const repository = join(folder, "repository");
  try {
    await mkdir(repository, { mode: 0o700 });
    const { image, commit } = await fetchAndBuild(request, options, repository);
    await rm(repository, { recursive: true, force: true });
    return await use(image, commit);
  } finally {
    await endGroup(groupMark(owner.id, marks.run));
    await removeImages(engine, `${RUN_LABEL}=${marks.run}`, logger);
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function fetchAndBuild(
  request: BuildRequest,
  options: BuildOptions,
  folder: string,
): Promise<{ readonly image: ImageFacts; readonly commit: string }> {
  const { tell, policy, engine, marks } = options;
  tell({ phase: "cloning", repo_url: request.source.url, branch: request.source.revision });
  const commit = await fetchCommit(folder, request.source);
  const dockerfile = await readDockerfile(folder, commit, request.dockerfile);
  checkDockerfile(dockerfile, request.args, policy);
  const tree = await contextTree(folder, commit, request.context);
  tell({ phase: "building", repo_url: request.source.url, commit });
  const tag = `localhost/mcpp-build:${marks.run}`;
  try {
    await failAfter(BUILD_LIMIT_MS, () => build(request, options, { folder, tree, dockerfile, tag }));
  } catch (error) {
    rethrowIfCancelled(error);
    const isLate = error instanceof Error && error.name === "TimeoutError";
    if (isLate) throw buildFailure("it did not end in time", "timeout");
    throw error instanceof AggregateError && error.errors.length === 1 ? error.errors[0] : error;
  }
  const image = await lookUpImage(engine, tag);
  if (!image) throw buildFailure("the builder made no image", "internal");
  return { image, commit };
}

interface Material {
  readonly folder: string;
  readonly tree: string;
  readonly dockerfile: string;
  readonly tag: string;
}

async function build(request: BuildRequest, options: BuildOptions, material: Material): Promise<void> {
  const { engine, policy, marks, owner, log } = options;
  // A name that no file of the repository has: a later entry of the archive would take its place.
  const name = `.mcpp-${randomUUID()}.dockerfile`;
  const body = new PassThrough();
  await openNursery(async (nursery) => {
    nursery.startSoon(() => sendContext(material, name, body), "build context");
    const memory = policy.memoryBytes;
    const settings = {
      t: material.tag,
      dockerfile: name,
      buildargs: { ...request.args },
      labels: { ...marks.labels },
      ...networkOf(policy),
      pull: false,
      rm: true,
      forcerm: true,
      layers: false,
      nocache: true,
      memory,
      memswap: memory,
      cpuquota: policy.cpus * CPU_PERIOD_US,
      cpuperiod: CPU_PERIOD_US,
      dropcaps: JSON.stringify(DROPPED),
      cgroupparent: groupName(owner.id, marks.run, engine.cgroupDriver),
    };
    try {
      await abortable(async (abortSignal) => {
        const stream = await engine.docker.buildImage(body, { ...settings, abortSignal });
        await followEvents(stream, abortSignal, ({ error, stream: line }) => {
          if (line !== undefined && line.trim() !== "") log("build", line.trimEnd());
          if (error !== undefined) throw buildFailure(error, "internal");
        });
      });
    } catch (error) {
      rethrowIfCancelled(error);
      throw statusOf(error) === undefined
        ? engineFailure("building an image", error)
        : buildFailure(errorFacts(error).message, "internal", error);
    } finally {
      body.destroy();
    }
  });
}

/**
 * The network of RUN lines: none, or the first that the policy names.
 *
 * Podman (4.3) takes `none` as "do not set one up", which leaves RUN in the machine's own network. A namespace of its own has
 * to be asked for by name; Docker does not know the word and needs no telling.
 */
function networkOf({ networks: [network] }: ContainerPolicy): Readonly<Record<string, string>> {
  return {
    networkmode: network ?? "none",
    nsoptions: JSON.stringify([{ Name: "network", Host: false, Path: "" }]),
    configurenetwork: network === undefined ? "NetworkDisabled" : "NetworkEnabled",
  };
}

/** Sends the Dockerfile and the tree. An engine that hangs up first says itself why. */
async function sendContext(
  { folder, tree, dockerfile }: Material,
  name: string,
  body: PassThrough,
): Promise<void> {
  body.write(tarFile(name, Buffer.from(dockerfile)));
  let bytes = 0;
  const counted = async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      bytes += chunk.length;
      if (bytes > 2 * MAX_CONTEXT_BYTES) throw tooLarge("the build context", MAX_CONTEXT_BYTES);
      yield chunk;
    }
  };
  try {
    await withGit(folder, ["archive", "--format=tar", tree], BUILD_LIMIT_MS, (out, signal) =>
      pipeline(out, counted, body, { signal }),
    );
  } catch (error) {
    rethrowIfCancelled(error);
    if (!body.destroyed) body.destroy();
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "ERR_STREAM_PREMATURE_CLOSE" && code !== "ERR_STREAM_DESTROYED") throw error;
  }
}

function buildFailure(
  message: string,
  failureClass: "timeout" | "internal",
  cause?: unknown,
): WorkFailedError {
  const facts = {
    code: "E_CONTAINER_BUILD",
    failureClass,
    message: `the image could not be built: ${message.trim()}`,
  };
  return new WorkFailedError(facts, { cause });
}

/** Removes all images with a label, in the order that their layers want. What cannot be removed is logged. */
export async function removeImages(engine: Engine, label: string, logger: Logger): Promise<number> {
  let removed = 0;
  await shield(REMOVE_LIMIT_MS + 1000, () =>
    moveOnAfter(REMOVE_LIMIT_MS, async () => {
      for (let before = Infinity; ;) {
        const images = await labelled(engine, label, logger);
        // As long as each round leaves fewer: a child must go before its parent.
        if (images.length === 0 || images.length >= before) return;
        before = images.length;
        for (const id of images) if (await removeImage(engine, id, logger)) removed++;
      }
    }),
  );
  return removed;
}

async function labelled(engine: Engine, label: string, logger: Logger): Promise<readonly string[]> {
  try {
    const images = await ask("listing images", () =>
      engine.docker.listImages({ all: true, filters: JSON.stringify({ label: [label] }) }),
    );
    return images.map((image) => image.Id);
  } catch (error) {
    rethrowIfCancelled(error);
    logger.warn(errorFacts(error), "images that were built for a task could not be looked for");
    return [];
  }
}

async function removeImage(engine: Engine, id: string, logger: Logger): Promise<boolean> {
  try {
    await abortable(() => engine.docker.getImage(id).remove({ force: true }));
    return true;
  } catch (error) {
    rethrowIfCancelled(error);
    // In use by a layer above it, or gone with one: the next round tells.
    logger.debug({ image: id, ...errorFacts(error) }, "an image could not be removed in this round");
    return false;
  }
}
