/** Settings of containers: whether tasks may run them here, and what a container may have. */
import { byteSize, choice, duration, integer, type Kind, list, onOff, path, text } from "../kind.ts";
import { names, none, type SettingTable } from "./setting.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
/** Engines refuse less. */
const MIN_MEMORY_BYTES = 8 * MIB;
const MAX_MEMORY_BYTES = 1024 * GIB;
const MAX_CPUS = 1024;
const MAX_PIDS = 1_000_000;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

const image: Kind<string> = text(
  "image",
  "an image such as alpine, python:3.12-slim or ghcr.io/owner/*; * at the end stands for the rest of the name",
  /^[a-z0-9*][A-Za-z0-9._:@/-]*\*?$/,
);
const repository: Kind<string> = text(
  "url",
  "the beginning of an https URL, such as https://github.com/owner/ (or of a file URL)",
  /^(https|file):\/\/\S+$/,
);
const network: Kind<string> = text(
  "network",
  "the name of a network of the engine, such as bridge; never host or another container's",
  /^(?!host$|none$|private$|default$|slirp4netns$|pasta$)[A-Za-z0-9][A-Za-z0-9_.-]*$/,
);
const device: Kind<string> = text("device", "a device file such as /dev/kvm", /^\/dev\/[A-Za-z0-9_./-]+$/);

/** Whether and how tasks run containers. */
export const CONTAINERS: Pick<
  SettingTable,
  | "containers"
  | "containerEngine"
  | "containerImages"
  | "containerRepositories"
  | "containerPull"
  | "containerNetworks"
  | "containerMounts"
  | "containerDevices"
  | "containerGpus"
  | "containerRoot"
  | "containerBuildRun"
  | "containerMemoryBytes"
  | "containerCpus"
  | "containerPids"
  | "containerTmpBytes"
  | "containerTimeoutMs"
  | "shellImage"
> = {
  containers: {
    ...names("containers"),
    kind: choice("off", "auto", "on"),
    fallback: () => "off",
    summary:
      "Whether tasks may run containers here: auto if there is an engine, on fails to start without one.",
  },
  containerEngine: {
    ...names("container-engine"),
    kind: path(),
    fallback: none,
    fallbackText:
      "the first that answers of Podman's and Docker's usual sockets, one's own before the system's",
    summary: "Socket of the container engine, Docker or Podman.",
  },
  containerImages: {
    ...names("container-image"),
    env: "MCPP_CONTAINER_IMAGES",
    key: "container_images",
    kind: list(image),
    fallback: () => [],
    fallbackText: "none, so that there are no docker.execute tasks",
    summary: "Images that tasks may run and build on; without a tag, all tags.",
  },
  containerRepositories: {
    ...names("container-repository"),
    env: "MCPP_CONTAINER_REPOSITORIES",
    key: "container_repositories",
    kind: list(repository),
    fallback: () => [],
    fallbackText: "none, so that there are no docker.github tasks",
    summary: "Git repositories that tasks may build: how their URLs begin.",
  },
  containerPull: {
    ...names("container-pull"),
    kind: choice("missing", "never"),
    fallback: () => "missing",
    summary: "Whether allowed images that are not here are fetched from their registry.",
  },
  containerNetworks: {
    ...names("container-network"),
    env: "MCPP_CONTAINER_NETWORKS",
    key: "container_networks",
    kind: list(network),
    fallback: () => [],
    fallbackText: "none: containers have no network",
    summary: "Networks that tasks may ask for.",
  },
  containerMounts: {
    ...names("container-mount"),
    env: "MCPP_CONTAINER_MOUNTS",
    key: "container_mounts",
    kind: list(path()),
    fallback: () => [],
    fallbackText: "none",
    summary: "Folders and files of this machine that tasks may mount, with all in them, read-only.",
  },
  containerDevices: {
    ...names("container-device"),
    env: "MCPP_CONTAINER_DEVICES",
    key: "container_devices",
    kind: list(device),
    fallback: () => [],
    fallbackText: "none",
    summary: "Device files that tasks may ask for.",
  },
  containerGpus: {
    ...names("container-gpus"),
    kind: onOff(),
    fallback: () => false,
    summary: "Let tasks ask for GPUs.",
  },
  containerRoot: {
    ...names("container-root"),
    kind: onOff(),
    fallback: () => false,
    summary: "Let tasks run as root inside their container, without any capability.",
  },
  containerBuildRun: {
    ...names("container-build-run"),
    kind: onOff(),
    fallback: () => false,
    summary:
      "Let Dockerfiles of docker.github tasks have RUN lines, which run as root while the image is built.",
  },
  containerMemoryBytes: {
    ...names("container-memory"),
    kind: byteSize(MIN_MEMORY_BYTES, MAX_MEMORY_BYTES),
    fallback: () => 2 * GIB,
    summary: "The most memory a container gets, /tmp included, and what it gets if its task says nothing.",
  },
  containerCpus: {
    ...names("container-cpus"),
    kind: integer("n", 1, MAX_CPUS),
    fallback: () => 1,
    summary: "The most processors a container gets, and what it gets if its task says nothing.",
  },
  containerPids: {
    ...names("container-pids"),
    kind: integer("n", 1, MAX_PIDS),
    fallback: () => 256,
    summary: "How many processes and threads a container may have.",
  },
  containerTmpBytes: {
    ...names("container-tmp"),
    kind: byteSize(MIB, MAX_MEMORY_BYTES),
    fallback: () => 256 * MIB,
    summary: "How much a container may write, all of it under /tmp; also the size of its largest file.",
  },
  containerTimeoutMs: {
    ...names("container-timeout"),
    kind: duration(1000, DAY_MS),
    fallback: () => 60 * MINUTE_MS,
    summary: "The longest a container may run; 5m, or this if it is less, if its task says nothing.",
  },
  shellImage: {
    ...names("shell-image"),
    kind: image,
    fallback: none,
    fallbackText: "none, so that there are no shell tasks",
    summary: "Image in which shell tasks run their program.",
  },
};
