/** Removes what earlier processes of this worker left behind when they were killed. */
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { errorFacts } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { rethrowIfCancelled } from "../../nursery/index.ts";
import { removeImages } from "./build.ts";
import { endGroup, groupMark } from "./control-group.ts";
import { ask, type Engine } from "./engine.ts";
import { GIT_PID_FILE, killGroup } from "./git.ts";
import { isRunning, type Owner, PROCESS_FILE, PROCESS_LABEL, RUN_LABEL, WORKER_LABEL } from "./owner.ts";
import { removeContainer } from "./run.ts";

/** What was found and removed. */
export interface Reaped {
  readonly containers: number;
  readonly images: number;
  readonly clones: number;
}

/** Removes what is of this worker and of a process that has gone. What fails is logged; it must not keep a node down. */
export async function reap(engine: Engine, owner: Owner, logger: Logger): Promise<Reaped> {
  const reaped = { containers: 0, images: 0, clones: 0 };
  try {
    const filters = JSON.stringify({ label: [`${WORKER_LABEL}=${owner.id}`] });
    const containers = await ask("listing containers", () =>
      engine.docker.listContainers({ all: true, filters }),
    );
    for (const { Id, Labels } of containers) {
      if (isRunning(Labels[PROCESS_LABEL] ?? "")) continue;
      if (await removeContainer(engine.docker.getContainer(Id), logger)) reaped.containers++;
    }
    const images = await ask("listing images", () => engine.docker.listImages({ all: true, filters }));
    const runs = new Set<string>();
    for (const { Labels } of images) {
      const run = Labels?.[RUN_LABEL];
      if (run !== undefined && !isRunning(Labels?.[PROCESS_LABEL] ?? "")) runs.add(run);
    }
    for (const run of runs) {
      await endGroup(groupMark(owner.id, run));
      reaped.images += await removeImages(engine, `${RUN_LABEL}=${run}`, logger);
    }
    reaped.clones = await reapClones(owner);
  } catch (error) {
    rethrowIfCancelled(error);
    logger.warn(errorFacts(error), "what an earlier run may have left of containers could not be looked at");
  }
  if (reaped.containers + reaped.images + reaped.clones > 0)
    logger.info(reaped, "removed what an earlier run had left behind");
  return reaped;
}

const CLONE = /^clone-([0-9a-f]{12})$/;

async function reapClones(owner: Owner): Promise<number> {
  let clones = 0;
  for (const name of await readdir(owner.folder)) {
    const [, run] = CLONE.exec(name) ?? [];
    const folder = join(owner.folder, name);
    if (run === undefined || isRunning(await textOf(join(folder, PROCESS_FILE)))) continue;
    const git = await textOf(join(folder, "repository", GIT_PID_FILE));
    if (isRunning(git)) killGroup(Number(git.split(" ")[0]));
    await endGroup(groupMark(owner.id, run));
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    clones++;
  }
  return clones;
}

async function textOf(path: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}
