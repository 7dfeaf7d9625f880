/** What containers of tasks may have on this machine. Whoever owns the machine says so; a task can only ask for less. */

/** The policy of one worker. */
export interface ContainerPolicy {
  /** Images that may be run and built on, as patterns: see {@link isAllowedImage}. */
  readonly images: readonly string[];
  /** How the URLs of repositories that may be built begin. */
  readonly repositories: readonly string[];
  /** Whether an allowed image that is not here is fetched. */
  readonly pull: "missing" | "never";
  /** Networks that may be asked for. */
  readonly networks: readonly string[];
  /** Absolute paths that may be mounted, with all in them, read-only. */
  readonly mounts: readonly string[];
  /** Device files that may be asked for. */
  readonly devices: readonly string[];
  readonly gpus: boolean;
  /** Whether a container may run as root, which has no capabilities even so. */
  readonly root: boolean;
  /** Whether Dockerfiles may have RUN lines. */
  readonly buildRun: boolean;
  /** The most memory, and what is given unless a task asks for less. */
  readonly memoryBytes: number;
  /** The most processors, and what is given unless a task asks for less. */
  readonly cpus: number;
  /** How many processes and threads. */
  readonly pids: number;
  /** The size of /tmp, which is the only place to write, and of the largest file. */
  readonly tmpBytes: number;
  /** The longest run. */
  readonly timeoutMs: number;
  /** The image of `shell` tasks; undefined if there are none. */
  readonly shellImage: string | undefined;
}

/** How long a container may run if its task says nothing and the policy allows as much; as in the old system. */
export const DEFAULT_RUN_MS = 300_000;
/** How long an image may take to arrive. */
export const PULL_LIMIT_MS = 1_800_000;
/** How long a clone may take; as in the old system. */
export const CLONE_LIMIT_MS = 300_000;
/** How long a build may take; as in the old system. */
export const BUILD_LIMIT_MS = 600_000;
/** The most that a clone may have on disk. */
export const MAX_CLONE_BYTES: number = 1024 * 1024 * 1024;
/** The most that a build context may have, unpacked. */
export const MAX_CONTEXT_BYTES: number = 1024 * 1024 * 1024;
/** A Dockerfile is text that people write. */
export const MAX_DOCKERFILE_BYTES: number = 1024 * 1024;
/** How long the engine may take for a small thing, such as making a container. A loaded machine takes seconds. */
export const ENGINE_LIMIT_MS = 60_000;
/** How many files a container may have open. */
export const MAX_OPEN_FILES = 1024;
/** How many processes the user of a container may have, all containers of the machine together: the kernel counts so. */
export const MAX_USER_PROCESSES = 4096;
/** The size of /dev/shm, part of the memory. */
export const SHM_BYTES: number = 16 * 1024 * 1024;
/** Whom a container runs as if nothing better is known: nobody, who owns nothing. */
export const NOBODY = "65534:65534";
