/** Images: looked up, and fetched if that is allowed. */
import * as z from "zod";
import { WorkFailedError } from "../../errors.ts";
import { abortable, failAfter, rethrowIfCancelled } from "../../nursery/index.ts";
import { ask, endStream, type Engine, engineFailure, statusOf } from "./engine.ts";
import { type ImageName, imageText } from "./image-name.ts";
import { type ContainerPolicy, PULL_LIMIT_MS } from "./policy.ts";

/** An image that is here. */
export interface ImageFacts {
  /** Its full name, or its id if it has none. */
  readonly name: string;
  /** Runs exactly this one, whatever its name means a moment later. */
  readonly id: string;
  /** Whom it runs as; "" if it does not say. */
  readonly user: string;
}

/** Told now and then how far a long step is. */
export type Tell = (facts: Readonly<Record<string, string | number>>) => void;

const inspectSchema = z.object({
  Id: z.string(),
  Config: z.object({ User: z.string().nullish() }).nullish(),
});
/** One line of what an engine tells while it fetches or builds. */
export interface EngineEvent {
  readonly status?: string | undefined;
  readonly stream?: string | undefined;
  readonly id?: string | undefined;
  readonly error?: string | undefined;
  readonly progressDetail?:
    | { readonly current?: number | undefined; readonly total?: number | undefined }
    | null
    | undefined;
}

const eventSchema: z.ZodType<EngineEvent> = z.object({
  status: z.string().optional(),
  stream: z.string().optional(),
  id: z.string().optional(),
  error: z.string().optional(),
  progressDetail: z.object({ current: z.number().optional(), total: z.number().optional() }).nullish(),
});

/** Longer lines are not the engine's. */
const MAX_EVENT_CHARS = 1_000_000;

/** The image, if it is here. */
export async function lookUpImage(engine: Engine, name: string): Promise<ImageFacts | undefined> {
  try {
    const answer: unknown = await ask("looking at an image", () => engine.docker.getImage(name).inspect());
    const { Id, Config } = inspectSchema.parse(answer);
    return { name, id: Id, user: Config?.User ?? "" };
  } catch (error) {
    if (error instanceof Error && statusOf(error.cause) === 404) return undefined;
    throw error;
  }
}

/** The image, fetched if need be. @throws WorkFailedError `E_CONTAINER_IMAGE` if it cannot be had */
export async function needImage(
  engine: Engine,
  image: ImageName,
  policy: ContainerPolicy,
  tell: Tell,
): Promise<ImageFacts> {
  const name = imageText(image);
  const here = await lookUpImage(engine, name);
  if (here) return here;
  if (policy.pull === "never") throw noImage(`the image ${name} is not here, and the worker fetches none`);
  await pull(engine, name, tell);
  const fetched = await lookUpImage(engine, name);
  if (fetched) return fetched;
  throw noImage(`the image ${name} was fetched and is not here`);
}

async function pull(engine: Engine, name: string, tell: Tell): Promise<void> {
  tell({ phase: "pulling", image: name });
  try {
    await failAfter(PULL_LIMIT_MS, () =>
      abortable(async (abortSignal) => {
        const stream = await engine.docker.createImage({ fromImage: name, abortSignal });
        await followEvents(stream, abortSignal, ({ error, status, id, progressDetail: detail }) => {
          if (error !== undefined) throw noImage(`the image ${name} could not be fetched: ${error}`);
          const { current, total } = detail ?? {};
          tell({
            phase: "pulling",
            ...(status === undefined ? {} : { status: id === undefined ? status : `${id}: ${status}` }),
            ...(current === undefined || total === undefined ? {} : { done: current, total }),
          });
        });
      }),
    );
  } catch (error) {
    rethrowIfCancelled(error);
    const status = statusOf(error);
    const isGone =
      status === 404 || /not found|unauthorized|denied|manifest unknown|name unknown/i.test(String(error));
    if (error instanceof WorkFailedError) throw error;
    throw isGone || status === 500
      ? noImage(`the image ${name} could not be fetched: ${String(error)}`, error, !isGone)
      : engineFailure("fetching an image", error);
  }
}

function noImage(message: string, cause?: unknown, again: boolean = false): WorkFailedError {
  const failureClass = again ? "unavailable" : "not-found";
  return new WorkFailedError({ code: "E_CONTAINER_IMAGE", failureClass, message }, { cause, again });
}

/** Reads the lines of JSON that an engine tells while it fetches or builds, until it is done. */
export async function followEvents(
  stream: NodeJS.ReadableStream,
  signal: AbortSignal,
  on: (event: EngineEvent) => void,
): Promise<void> {
  const stop = (): void => {
    endStream(stream);
  };
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    let rest = "";
    for await (const chunk of stream) {
      const lines = (rest + String(chunk)).split("\n");
      rest = (lines.pop() ?? "").slice(0, MAX_EVENT_CHARS);
      for (const line of lines.filter((text) => text.trim() !== "")) on(eventOf(line));
    }
    if (rest.trim() !== "") on(eventOf(rest));
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
  signal.throwIfAborted();
}

function eventOf(line: string): EngineEvent {
  try {
    const read = eventSchema.safeParse(JSON.parse(line));
    return read.success ? read.data : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
