/**
 * The container engine: Docker, or Podman, which speaks Docker's API.
 *
 * The library is loaded when there is a socket to speak to, since it is large and most nodes run no containers.
 */
import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type Docker from "dockerode";
import * as z from "zod";
import { errorFacts, UnreachableError, WorkFailedError } from "../../errors.ts";
import { abortable, failAfter, moveOnAfter, rethrowIfCancelled } from "../../nursery/index.ts";
import { ENGINE_LIMIT_MS } from "./policy.ts";

/** How long a socket may take to answer at the start. */
const PING_LIMIT_MS = 5000;

const infoSchema = z.object({
  ServerVersion: z.string().default(""),
  OSType: z.string().default(""),
  Architecture: z.string().default(""),
  CgroupDriver: z.string().default(""),
  CgroupVersion: z.string().default(""),
  MemoryLimit: z.boolean().default(false),
  PidsLimit: z.boolean().default(false),
});

const versionSchema = z.object({
  Components: z.array(z.object({ Name: z.string() })).nullish(),
});

/** An engine that answered. */
export interface Engine {
  readonly docker: Docker;
  /** Path of its socket. */
  readonly socket: string;
  readonly version: string;
  readonly isPodman: boolean;
  readonly architecture: string;
  readonly cgroupDriver: string;
  /** Limits that it cannot keep on this machine, in words; empty if it keeps all. */
  readonly missing: readonly string[];
}

/** Where engines listen: one's own before the system's, and Podman's, which needs no service of root, before Docker's. */
export function usualSockets(): readonly string[] {
  const uid = process.getuid?.() ?? 0;
  return [
    `/run/user/${uid}/podman/podman.sock`,
    `/run/user/${uid}/docker.sock`,
    "/run/podman/podman.sock",
    "/var/run/docker.sock",
    join(homedir(), ".docker/run/docker.sock"),
  ];
}

/**
 * Finds an engine.
 *
 * @param socket - the only one to try; undefined means {@link usualSockets}
 * @throws UnreachableError if none answers
 */
export async function findEngine(socket: string | undefined): Promise<Engine> {
  const candidates = socket === undefined ? usualSockets() : [socket];
  const failures: string[] = [];
  for (const path of candidates) {
    if (!(await isSocket(path))) continue;
    const answered = await moveOnAfter(PING_LIMIT_MS, () => connectTo(path, failures));
    if (answered.ok && answered.value) return answered.value;
    if (!answered.ok) failures.push(`${path} does not answer`);
  }
  const why = failures.length > 0 ? failures.join("; ") : `no socket at ${candidates.join(", ")}`;
  throw new UnreachableError(`no container engine: ${why}`, {
    hint: "start Docker or Podman (podman system service), or name its socket with --container-engine",
  });
}

async function connectTo(socket: string, failures: string[]): Promise<Engine | undefined> {
  const { default: Library } = await import("dockerode");
  try {
    // Named, even if empty, or DOCKER_HOST in our environment would lead somewhere else.
    const docker = new Library({ socketPath: socket, host: undefined, protocol: "http", timeout: undefined });
    const info = infoSchema.parse(await abortable(() => docker.info()));
    const { Components } = versionSchema.parse(await abortable(() => docker.version()));
    return {
      docker,
      socket,
      version: info.ServerVersion,
      isPodman: Components?.some(({ Name }) => Name.startsWith("Podman")) ?? false,
      architecture: info.Architecture,
      cgroupDriver: info.CgroupDriver,
      missing: [
        ...(info.OSType === "linux" ? [] : [`containers of ${info.OSType}`]),
        ...(info.MemoryLimit ? [] : ["a limit of memory"]),
        ...(info.PidsLimit ? [] : ["a limit of processes"]),
      ],
    };
  } catch (error) {
    rethrowIfCancelled(error);
    failures.push(`${socket}: ${errorFacts(error).message}`);
    return undefined;
  }
}

async function isSocket(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isSocket();
  } catch (error) {
    if (error instanceof Error && "code" in error) return false;
    throw error;
  }
}

/** The HTTP status of an answer of the engine; undefined if there was no answer. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof Error && "statusCode" in error && typeof error.statusCode === "number"
    ? error.statusCode
    : undefined;
}

/** Asks the engine for a small thing. What fails is said to have failed at `doing`. */
export async function ask<T>(doing: string, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  try {
    return await failAfter(ENGINE_LIMIT_MS, () => abortable(call));
  } catch (error) {
    rethrowIfCancelled(error);
    throw engineFailure(doing, error);
  }
}

/** A failure of the engine as one of ours. It is worth another try, here or elsewhere, unless the request is at fault. */
export function engineFailure(doing: string, error: unknown): Error {
  if (error instanceof WorkFailedError) return error;
  const status = statusOf(error);
  const message = errorFacts(error).message.trim();
  if (status === undefined)
    return new UnreachableError(`the container engine did not answer while ${doing}: ${message}`, {
      cause: error,
    });
  const isRequest = status === 400 || isStartFault(message);
  return new WorkFailedError(
    {
      code: isRequest ? "E_CONTAINER_START" : "E_CONTAINER_ENGINE",
      failureClass: isRequest ? "invalid" : "unavailable",
      message: `the container engine failed while ${doing}: ${message}`,
    },
    { cause: error, again: !isRequest },
  );
}

/** What engines say when the image has no such program or folder, with statuses of all kinds. */
function isStartFault(message: string): boolean {
  return /executable file not found|no such file or directory|command (that )?was not found|permission denied|is a directory|exec format error|not a directory|no command specified|no command or entrypoint/i.test(
    message,
  );
}

/** Ends a stream from the engine, and with it the connection. */
export function endStream(stream: NodeJS.ReadableStream): void {
  if ("destroy" in stream && typeof stream.destroy === "function") stream.destroy();
}
