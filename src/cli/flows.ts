/** Workflow runs as commands read, show and wait for them. */
import { readFile } from "node:fs/promises";
import type { LoadedConfig } from "../config.ts";
import { isJsonObject, type JsonObject } from "../content/json.ts";
import { DeadlineError, errorFacts, InvalidInputError, RunFailedError } from "../errors.ts";
import { rethrowIfCancelled, sleep } from "../nursery/index.ts";
import { parseWorkflow } from "../workflow/definition/parse.ts";
import type { Workflow } from "../workflow/definition/workflow.ts";
import type { Invocation } from "./command.ts";
import { openSession, peerArguments, type Session } from "./session.ts";
import { age, table } from "./table.ts";
import { number, rows, text } from "./tasks.ts";

/** One call waits this long, in seconds, then the next one. */
const SLICE_S = 20;
/** What an answer may take beyond its wait. */
const TRAVEL_MS = 10_000;
/** The pause before connecting again, when the node has gone. */
const PAUSE_MS = 500;

/** The workflow of a file; `-` is standard input. @throws WorkflowInvalidError with places, InvalidInputError for no file */
export async function workflowOf(file: string): Promise<Workflow> {
  return parseWorkflow(await textOf(file), file === "-" ? "standard input" : file);
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file === "-" ? "/dev/stdin" : file, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new InvalidInputError(`the workflow file cannot be read: ${why}`, { cause: error });
  }
}

/** What a wait for a run is about. */
export interface RunWaitRequest {
  readonly runId: string;
  readonly peer: string | undefined;
  readonly timeoutMs: number;
  readonly loaded: LoadedConfig;
  /** Whether each change of a step is told. */
  readonly follow: boolean;
}

/**
 * Waits until a run has completed, and returns it. Once it has had an answer it outlives restarts of the node.
 *
 * @throws RunFailedError, DeadlineError if it has not ended in time, RemoteError if there is no such run
 */
export async function waitForRun({ out }: Invocation, request: RunWaitRequest): Promise<JsonObject> {
  const { runId, timeoutMs, follow } = request;
  const untilMs = performance.now() + timeoutMs;
  const told = new Map<string, string>();
  const wait = new RunWaiting(request);
  try {
    for (;;) {
      const leftMs = Math.max(0, untilMs - performance.now());
      const run = await wait.once(leftMs);
      const lines = run && follow ? news(run, told) : [];
      for (const line of lines) out.note(line);
      const done = run && endOf(runId, run);
      if (done) return done;
      if (run) out.live([`run ${runId}: ${summaryOf(run)}`]);
      if (leftMs <= 0)
        throw new DeadlineError(`run ${runId} has not ended after ${age(timeoutMs)}; it goes on`, {
          hint: `mcpp flow show ${runId} --wait waits on`,
        });
    }
  } finally {
    out.clear();
    await wait.close();
  }
}

/** A wait in slices, over one connection after another. */
class RunWaiting {
  readonly #request: RunWaitRequest;
  #session: Session | undefined;
  /** Whether the node has answered before: then one that cannot be reached may be back. */
  #answered = false;
  #after = 0;

  constructor(request: RunWaitRequest) {
    this.#request = request;
  }

  /** One slice of at most `leftMs`. @returns undefined if the connection failed; then a pause has passed */
  async once(leftMs: number): Promise<JsonObject | undefined> {
    const { runId, peer, loaded, follow } = this.#request;
    const waitS = Math.min(SLICE_S, leftMs / 1000);
    const after = follow ? { after: this.#after } : {};
    const args = { run_id: runId, wait_s: waitS, ...after, ...peerArguments(peer) };
    try {
      this.#session ??= await openSession(loaded);
      const { run } = await this.#session.call("workflow_show", args, waitS * 1000 + TRAVEL_MS);
      if (!isJsonObject(run)) throw new TypeError("the node showed no run");
      this.#answered = true;
      this.#after = number(run, "events") ?? 0;
      return run;
    } catch (error) {
      rethrowIfCancelled(error);
      if (!this.#mayPass(error) || leftMs <= 0) throw error;
      await this.close();
      await sleep(Math.min(PAUSE_MS, leftMs));
      return undefined;
    }
  }

  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.client.close();
  }

  #mayPass(error: unknown): boolean {
    const { failureClass } = errorFacts(error);
    return this.#answered && ["unavailable", "busy", "timeout", "cancelled"].includes(failureClass);
  }
}

function endOf(runId: string, run: JsonObject): JsonObject | undefined {
  const state = text(run, "state");
  if (state === "completed") return run;
  if (state === "running") return undefined;
  const { error } = run;
  throw new RunFailedError(
    runId,
    state,
    isJsonObject(error) ? text(error, "message") : "no reason was given",
  );
}

/** What has changed in the steps of a run since it was last told. */
function news(run: JsonObject, told: Map<string, string>): readonly string[] {
  return rows(run, "steps").flatMap((step) => {
    const line = [text(step, "id"), stepText(step)].join(": ");
    const id = text(step, "id");
    if (told.get(id) === line || (!told.has(id) && text(step, "state") === "waiting")) return [];
    told.set(id, line);
    return [line];
  });
}

function stepText(step: JsonObject): string {
  const state = text(step, "state");
  const { items, error } = step;
  if (state === "asking") return `waits for an answer: ${text(step, "question")}`;
  if (state === "running" && isJsonObject(items))
    return `${number(items, "completed") ?? 0} of ${number(items, "total") ?? 0} done`;
  if (state === "failed" && isJsonObject(error)) return `failed: ${text(error, "message")}`;
  return state;
}

function summaryOf(run: JsonObject): string {
  const steps = rows(run, "steps");
  const over = steps.filter((step) => !["waiting", "running", "asking"].includes(text(step, "state")));
  const asking = run["waits_for_approval"] === true ? ", waits for an answer" : "";
  return `${over.length} of ${steps.length} steps are over${asking}`;
}

/** The output of a run for people: its JSON, indented. */
export function outputText(run: JsonObject): string {
  return JSON.stringify(run["output"] ?? null, null, 2);
}

/** A run with its steps for people. */
export function runText(run: JsonObject, isTerminal: boolean): string {
  const { error } = run;
  const head = `${text(run, "run_id")}  ${text(run, "workflow")}  ${text(run, "state")}`;
  const why = isJsonObject(error) ? [text(error, "message")] : [];
  const lines = rows(run, "steps").map((step) => [
    text(step, "id"),
    text(step, "state"),
    String(number(step, "attempts") ?? 0),
    detailOf(step),
  ]);
  return [
    head,
    ...why,
    "",
    table(lines, isTerminal ? ["STEP", "STATE", "ATTEMPTS", "DETAIL"] : undefined),
  ].join("\n");
}

/** More of a result than this is for `--json`. */
const MAX_DETAIL_CHARS = 100;

function detailOf(step: JsonObject): string {
  const { items, error, result } = step;
  if (isJsonObject(error)) return text(error, "message");
  if (text(step, "state") === "asking") return text(step, "question");
  if (isJsonObject(items))
    return `${number(items, "completed") ?? 0} of ${number(items, "total") ?? 0} items`;
  const shown = result === undefined ? text(step, "why") : JSON.stringify(result);
  return shown.length > MAX_DETAIL_CHARS ? `${shown.slice(0, MAX_DETAIL_CHARS)}…` : shown;
}
