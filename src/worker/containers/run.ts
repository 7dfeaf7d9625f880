/**
 * Runs one container from its creation to its removal.
 *
 * Whichever way a run ends, the container is killed and removed before {@link runContainer} returns: that is done under a
 * shield. If the engine fails even then, the labels let the next start of the worker find it.
 */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { Container } from "dockerode";
import * as z from "zod";
import type { Clock } from "../../clock.ts";
import { errorFacts, WorkFailedError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import {
  abortable,
  moveOnAfter,
  openNursery,
  rethrowIfCancelled,
  shield,
  sleep,
} from "../../nursery/index.ts";
import { ask, endStream, type Engine, engineFailure, statusOf } from "./engine.ts";
import { createOptions, type Granted } from "./grant.ts";
import type { ImageFacts } from "./image.ts";
import { Output, type LogLine } from "./output.ts";
import type { Marks } from "./owner.ts";
import { type ContainerPolicy, ENGINE_LIMIT_MS } from "./policy.ts";

/** How long the last output of a container that has ended is waited for. */
const FLUSH_MS = 2000;
/** How long killing and removing may take, all tries together. */
const REMOVE_LIMIT_MS = 45_000;
const REMOVE_TRIES = 5;
const REMOVE_PAUSE_MS = 500;
/** The exit code of a process that SIGKILL ended. */
const KILLED = 137;

/** What a run needs. */
export interface RunOptions {
  readonly engine: Engine;
  readonly policy: ContainerPolicy;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly image: ImageFacts;
  readonly granted: Granted;
  readonly marks: Marks;
  readonly log: LogLine;
}

/** How a run ended. */
export interface RunResult {
  readonly success: boolean;
  readonly exit_code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly stdout_bytes: number;
  readonly stderr_bytes: number;
  /** Whether only the end of the stream is here. */
  readonly stdout_truncated: boolean;
  readonly stderr_truncated: boolean;
  /** Seconds. */
  readonly execution_time: number;
  /** Seconds since 1970. */
  readonly started_at: number;
  readonly finished_at: number;
  readonly image: string;
  readonly error_message: string | null;
}

const stateSchema = z.object({
  State: z.object({ OOMKilled: z.boolean().default(false), ExitCode: z.int() }),
});
const waitSchema = z.object({ StatusCode: z.int() });

/** @throws WorkFailedError with the {@link RunResult} if the container fails, and the engine's own failures */
export async function runContainer(options: RunOptions): Promise<RunResult> {
  const { engine, image, granted, marks, policy } = options;
  const spec = createOptions(granted, image, `mcpp-${marks.run}`, marks.labels, {
    policy,
    isPodman: engine.isPodman,
  });
  // Under a shield: a container that was made must be known, or nobody removes it.
  const container = await shield(ENGINE_LIMIT_MS, () =>
    ask("making a container", () => engine.docker.createContainer(spec)),
  );
  try {
    return await runCreated(options, container);
  } finally {
    await removeContainer(container, options.logger);
  }
}

async function runCreated(options: RunOptions, container: Container): Promise<RunResult> {
  const { clock, granted, log } = options;
  const output = new Output(clock, log);
  const killsBefore = await oomKills();
  const startedAtMs = clock.epochMs();
  const startedAt = clock.now();
  const exit = await moveOnAfter(granted.timeoutMs, () => attended(container, output));
  const resultOf = (ended: number | null, error: string | null): RunResult => ({
    success: error === null,
    exit_code: ended,
    stdout: output.stdout.text,
    stderr: output.stderr.text,
    stdout_bytes: output.stdout.bytes,
    stderr_bytes: output.stderr.bytes,
    stdout_truncated: output.stdout.truncated,
    stderr_truncated: output.stderr.truncated,
    execution_time: (clock.now() - startedAt) / 1000,
    started_at: startedAtMs / 1000,
    finished_at: clock.epochMs() / 1000,
    image: options.image.name,
    error_message: error,
  });
  if (!exit.ok) {
    const message = `the container did not end within ${granted.timeoutMs / 1000} s and was killed`;
    throw failed("E_CONTAINER_TIMEOUT", "timeout", message, resultOf(null, message));
  }
  const code = exit.value;
  if (code === 0) return resultOf(0, null);
  const hadMemory = !(await ranOutOfMemory(container, code, killsBefore));
  if (hadMemory) {
    const message = `the container ended with exit code ${code}`;
    throw failed("E_CONTAINER_EXIT", "internal", message, resultOf(code, message));
  }
  const message = `the container was killed because it ran out of its memory of ${granted.host.Memory ?? 0} bytes`;
  throw failed("E_CONTAINER_OOM", "internal", message, resultOf(code, message));
}

function failed(
  code: string,
  failureClass: "timeout" | "internal",
  message: string,
  result: RunResult,
): WorkFailedError {
  return new WorkFailedError({ code, failureClass, message }, { result: { ...result } });
}

/** Starts the container and reads what it writes until it ends. @returns its exit code */
async function attended(container: Container, output: Output): Promise<number> {
  let code = -1;
  await openNursery(async (nursery) => {
    const attach = { stream: true, stdout: true, stderr: true, hijack: true };
    const stream = await ask("attaching to a container", (abortSignal) =>
      container.attach({ ...attach, abortSignal }),
    );
    const ended = once(stream, "close");
    nursery.startSoon(async () => {
      try {
        await abortable((signal) => {
          signal.addEventListener("abort", () => endStream(stream), { once: true });
          return output.read(stream);
        });
      } catch (error) {
        // A stream that breaks off has told all that there will be; how the container ended is asked separately.
        rethrowIfCancelled(error);
      } finally {
        endStream(stream);
      }
    }, "output");
    await ask("starting a container", () => container.start());
    code = await exitCode(container);
    await moveOnAfter(FLUSH_MS, () => abortable(() => ended));
    nursery.cancel("the container has ended");
  }).finally(() => output.end());
  return code;
}

async function exitCode(container: Container): Promise<number> {
  try {
    const answer: unknown = await abortable((abortSignal) => container.wait({ abortSignal }));
    return waitSchema.parse(answer).StatusCode;
  } catch (error) {
    rethrowIfCancelled(error);
    throw engineFailure("waiting for a container", error);
  }
}

async function ranOutOfMemory(
  container: Container,
  code: number,
  killsBefore: number | undefined,
): Promise<boolean> {
  const { State } = stateSchema.parse(await ask("looking at a container", () => container.inspect()));
  if (State.OOMKilled) return true;
  // Podman on control groups of version 1 does not always learn of it. Nobody else kills what has not timed out.
  const kills = await oomKills();
  return code === KILLED && kills !== undefined && killsBefore !== undefined && kills > killsBefore;
}

/** How many processes the kernel of this machine has killed for want of memory; undefined where it does not tell. */
async function oomKills(): Promise<number | undefined> {
  try {
    const match = /^oom_kill (\d+)$/m.exec(await readFile("/proc/vmstat", "utf8"));
    return match ? Number(match[1]) : undefined;
  } catch (error) {
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
}

/** Kills and removes a container, whatever state it is in. What cannot be removed is logged. */
export async function removeContainer(container: Container, logger: Logger): Promise<boolean> {
  try {
    await shield(REMOVE_LIMIT_MS, async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          await container.remove({ force: true, v: true });
          return;
        } catch (error) {
          if (statusOf(error) === 404) return;
          if (attempt === REMOVE_TRIES) throw error;
          await sleep(REMOVE_PAUSE_MS);
        }
      }
    });
    return true;
  } catch (error) {
    logger.warn(
      { container: container.id, ...errorFacts(error) },
      "a container could not be removed; the next start tries again",
    );
    return false;
  }
}
