/**
 * Measures a request against the policy, and says what the engine is to be told.
 *
 * Whatever is asked for beyond the policy is refused in words; nothing is quietly cut down. What no task can change is in
 * {@link hostConfigOf}: every limit is set on every container.
 */
import { realpath, stat } from "node:fs/promises";
import { isAbsolute, posix, sep } from "node:path";
import type { ContainerCreateOptions, HostConfig, MountSettings } from "dockerode";
import { InvalidInputError, WorkFailedError } from "../../errors.ts";
import { type ImageName, imageText, isAllowedImage } from "./image-name.ts";
import {
  type ContainerPolicy,
  DEFAULT_RUN_MS,
  MAX_OPEN_FILES,
  MAX_USER_PROCESSES,
  NOBODY,
  SHM_BYTES,
} from "./policy.ts";
import type { GpuRequest, RunRequest, Volume } from "./request.ts";

/** What a container gets, apart from its image. */
export interface Granted {
  readonly request: RunRequest;
  readonly host: HostConfig;
  readonly timeoutMs: number;
}

/** A refusal by the policy. The same request meets it again. */
export function refused(what: string, how: string): WorkFailedError {
  return new WorkFailedError({
    code: "E_CONTAINER_DENIED",
    failureClass: "denied",
    message: `the worker's policy does not allow ${what}: ${how}`,
  });
}

/** @throws WorkFailedError `E_CONTAINER_DENIED` if the policy does not allow the image */
export function checkImage(image: ImageName, policy: ContainerPolicy): void {
  if (!isAllowedImage(image, policy.images))
    throw refused(`the image ${imageText(image)}`, "--container-image names those that it does");
}

/** @throws WorkFailedError `E_CONTAINER_DENIED`, InvalidInputError */
export async function grant(request: RunRequest, policy: ContainerPolicy): Promise<Granted> {
  const [forbidden] = request.forbidden;
  if (forbidden !== undefined) throw refused(`'${forbidden}'`, "no task gets that");
  checkUser(request.user, policy);
  if (request.workingDir !== undefined && !isCleanPath(request.workingDir))
    throw new InvalidInputError("payload.working_dir must be an absolute path without . and ..");
  const mounts = await Promise.all(request.volumes.map((volume) => mountOf(volume, policy)));
  const timeoutMs = within(
    "timeout",
    request.timeoutMs,
    policy.timeoutMs,
    Math.min(DEFAULT_RUN_MS, policy.timeoutMs),
  );
  return { request, host: hostConfigOf(request, policy, mounts), timeoutMs };
}

/** Podman would copy what the image has in /tmp, with its owner and mode, which may be ones that nobody can write to. */
function tmpOptions(bytes: number, isPodman: boolean): string {
  return `rw,nosuid,nodev,size=${bytes},mode=1777${isPodman ? ",notmpcopyup" : ""}`;
}

/** What the engine is told. @param imageUser - whom the image itself names, if anybody */
export function createOptions(
  { request, host }: Granted,
  image: { readonly id: string; readonly user: string },
  name: string,
  labels: Readonly<Record<string, string>>,
  { policy, isPodman }: { readonly policy: ContainerPolicy; readonly isPodman: boolean },
): ContainerCreateOptions {
  const tmpBytes = Math.min(policy.tmpBytes, host.Memory ?? policy.tmpBytes);
  return {
    name,
    Image: image.id,
    ...(request.entrypoint === undefined ? {} : { Entrypoint: [...request.entrypoint] }),
    ...(request.command === undefined ? {} : { Cmd: [...request.command] }),
    Env: [...request.environment],
    ...(request.workingDir === undefined ? {} : { WorkingDir: request.workingDir }),
    User: userOf(request.user, image.user, policy),
    Labels: { ...labels },
    Tty: false,
    OpenStdin: false,
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    NetworkDisabled: host.NetworkMode === "none",
    StopTimeout: 1,
    // A check of the image's own would run its program beside the task's.
    Healthcheck: { Test: ["NONE"] },
    HostConfig: { ...host, Tmpfs: { "/tmp": tmpOptions(tmpBytes, isPodman) } },
  };
}

function hostConfigOf(
  request: RunRequest,
  policy: ContainerPolicy,
  mounts: readonly MountSettings[],
): HostConfig {
  const memory = within("memory_limit", request.memoryBytes, policy.memoryBytes, policy.memoryBytes);
  const cpus = within("cpu_limit", request.cpus, policy.cpus, policy.cpus);
  return {
    NetworkMode: networkOf(request.network, policy),
    Privileged: false,
    CapAdd: [],
    CapDrop: ["ALL"],
    SecurityOpt: ["no-new-privileges"],
    ReadonlyRootfs: true,
    Mounts: [...mounts],
    Devices: request.devices.map((path) => deviceOf(path, policy)),
    ...(request.gpus === undefined ? {} : { DeviceRequests: [gpuOf(request.gpus, policy)] }),
    Memory: memory,
    // Equal to the memory: no swap, or a memory bomb would only get slow.
    MemorySwap: memory,
    NanoCpus: Math.round(cpus * 1e9),
    PidsLimit: policy.pids,
    ShmSize: Math.min(SHM_BYTES, memory),
    Ulimits: [
      { Name: "nofile", Soft: MAX_OPEN_FILES, Hard: MAX_OPEN_FILES },
      { Name: "nproc", Soft: MAX_USER_PROCESSES, Hard: MAX_USER_PROCESSES },
      { Name: "fsize", Soft: policy.tmpBytes, Hard: policy.tmpBytes },
      { Name: "core", Soft: 0, Hard: 0 },
    ],
    IpcMode: "private",
    RestartPolicy: { Name: "no" },
    // Not kept by the engine, where endless output would fill its disk: it comes to us as it is written.
    LogConfig: { Type: "none", Config: {} },
    AutoRemove: false,
  };
}

function within(name: string, asked: number | undefined, most: number, usual: number): number {
  if (asked === undefined) return usual;
  if (asked > most) throw refused(`a ${name} of ${asked}`, `at most ${most}`);
  return asked;
}

function networkOf(asked: string | undefined, policy: ContainerPolicy): string {
  if (asked === undefined || asked === "none") return "none";
  if (!policy.networks.includes(asked))
    throw refused(`the network '${asked.slice(0, 80)}'`, "--container-network names those that it does");
  return asked;
}

function deviceOf(
  path: string,
  policy: ContainerPolicy,
): { PathOnHost: string; PathInContainer: string; CgroupPermissions: string } {
  if (!policy.devices.includes(path))
    throw refused(`the device '${path.slice(0, 80)}'`, "--container-device names those that it does");
  return { PathOnHost: path, PathInContainer: path, CgroupPermissions: "rw" };
}

function gpuOf(
  asked: GpuRequest,
  policy: ContainerPolicy,
): NonNullable<HostConfig["DeviceRequests"]>[number] {
  if (!policy.gpus) throw refused("GPUs", "--container-gpus would");
  const which = asked.kind === "count" ? { Count: asked.count } : { DeviceIDs: [...asked.ids] };
  return { Driver: "", Capabilities: [["gpu"]], ...which };
}

/** Folders of a container that a mount would turn into something else. */
const SYSTEM_TARGETS = ["/proc", "/sys", "/dev"];

/** What is mounted below a folder of this machine would be writable: engines make only the top read-only. */
const BIND_OPTIONS = { Propagation: "rprivate", NonRecursive: true } as const;

async function mountOf({ source, target, mode }: Volume, policy: ContainerPolicy): Promise<MountSettings> {
  const how = "--container-mount names those that it does";
  if (mode !== undefined && mode !== "ro" && mode !== "readonly")
    throw refused(`the mount mode '${mode.slice(0, 20)}'`, "mounts are read-only");
  if (
    !isCleanPath(target) ||
    target === "/" ||
    SYSTEM_TARGETS.some((folder) => isWithin(target, folder, "/"))
  )
    throw new InvalidInputError(`nothing can be mounted at '${target.slice(0, 80)}'`);
  if (!isAbsolute(source)) throw refused(`the mount '${source.slice(0, 80)}'`, how);
  const path = await real(source);
  const allowed = await Promise.all(policy.mounts.map(real));
  // Symbolic links are followed on both sides: the engine gets what was looked at.
  if (path === undefined || !allowed.some((folder) => folder !== undefined && isWithin(path, folder, sep)))
    throw refused(`the mount '${source.slice(0, 80)}'`, how);
  const found = await stat(path);
  if (!found.isDirectory() && !found.isFile())
    throw refused(`the mount '${source.slice(0, 80)}'`, "only folders and files can be mounted");
  return {
    Type: "bind",
    Source: path,
    Target: target,
    ReadOnly: true,
    BindOptions: BIND_OPTIONS,
  };
}

async function real(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (error) {
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
}

function isWithin(path: string, folder: string, separator: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(separator) ? folder : folder + separator);
}

function isCleanPath(path: string): boolean {
  return posix.isAbsolute(path) && posix.normalize(path) === path.replace(/(?<=.)\/$/, "/");
}

const NUMERIC_USER = /^\d{1,10}(:\d{1,10})?$/;
const ROOT_USER = /^0*(:|$)|:0*$/;

function checkUser(asked: string | undefined, policy: ContainerPolicy): void {
  if (asked === undefined || policy.root) return;
  // A name means what the image says it means, which may be 0.
  if (!NUMERIC_USER.test(asked) || ROOT_USER.test(asked))
    throw refused(`the user '${asked.slice(0, 80)}'`, "give a number other than 0, such as 1000:1000");
}

/** Whom the container runs as: whom the task names, else whom the image names if that is surely not root, else nobody. */
function userOf(asked: string | undefined, imageUser: string, policy: ContainerPolicy): string {
  if (asked !== undefined) return withGroup(asked);
  if (policy.root && imageUser !== "") return imageUser;
  return NUMERIC_USER.test(imageUser) && !ROOT_USER.test(imageUser) ? withGroup(imageUser) : NOBODY;
}

/** A number alone would come with the group 0. */
function withGroup(user: string): string {
  return NUMERIC_USER.test(user) && !user.includes(":") ? `${user}:${user}` : user;
}
