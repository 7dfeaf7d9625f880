/** The containers of a node's worker, if its configuration wants any. */
import type { NodeConfig } from "../config.ts";
import { hasCode } from "../errors.ts";
import { type ContainerPolicy, type Containers, openContainers } from "../worker/index.ts";
import type { Foundation } from "./foundation.ts";

/**
 * Opens the container engine. Closed after the worker, so that containers of tasks that were stopped are gone by then.
 *
 * @returns undefined if there are to be none, or if `auto` finds no engine
 * @throws UnreachableError if the configuration wants them and no engine answers
 */
export async function containersOf(foundation: Foundation): Promise<Containers | undefined> {
  const { config, nursery, clock, closers } = foundation;
  if (config.containers === "off") return undefined;
  const logger = foundation.logger.child({ room: "containers" });
  try {
    const containers = await openContainers({
      nursery,
      clock,
      logger,
      policy: policyOf(config),
      socket: config.containerEngine,
      dataDir: config.dataDir,
    });
    closers.add("the containers", () => containers.close());
    return containers;
  } catch (error) {
    if (config.containers !== "auto" || !hasCode(error, "E_UNREACHABLE")) throw error;
    logger.info({ why: String(error) }, "no container engine here, so no task runs a container");
    return undefined;
  }
}

function policyOf(config: NodeConfig): ContainerPolicy {
  return {
    images: config.containerImages,
    repositories: config.containerRepositories,
    pull: config.containerPull,
    networks: config.containerNetworks,
    mounts: config.containerMounts,
    devices: config.containerDevices,
    gpus: config.containerGpus,
    root: config.containerRoot,
    buildRun: config.containerBuildRun,
    memoryBytes: config.containerMemoryBytes,
    cpus: config.containerCpus,
    pids: config.containerPids,
    tmpBytes: config.containerTmpBytes,
    timeoutMs: config.containerTimeoutMs,
    shellImage: config.shellImage,
  };
}
