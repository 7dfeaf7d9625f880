/** Containers for tasks, on Docker or Podman. */
export { type Containers, type ContainersOptions, openContainers } from "./containers.ts";
export type { ContainerPolicy } from "./policy.ts";
