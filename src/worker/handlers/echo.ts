/** `echo`: gives the payload back, for tests and first steps. */
import type { JsonObject } from "../../content/json.ts";
import { InvalidInputError } from "../../errors.ts";
import { sleep } from "../../nursery/index.ts";
import type { Handler, HandlerContext } from "./handler.ts";

/** An echo that takes longer than an hour is a mistake in units. */
const MAX_SLEEP_MS = 3_600_000;
/** How often a waiting echo tells how far it is. */
const TELL_EVERY_MS = 500;

/** Answers `{ echo: payload }`, after `payload.sleep_ms` milliseconds (default 0) in which it tells its progress. */
export const echo: Handler = {
  type: "echo",
  aliases: [],
  async run({ payload }, context) {
    await wait(sleepMsOf(payload), context);
    return { echo: payload };
  },
};

function sleepMsOf(payload: JsonObject): number {
  const sleepMs = payload["sleep_ms"] ?? 0;
  if (typeof sleepMs === "number" && sleepMs >= 0 && sleepMs <= MAX_SLEEP_MS) return sleepMs;
  throw new InvalidInputError(`sleep_ms must be a number from 0 to ${MAX_SLEEP_MS}`);
}

async function wait(sleepMs: number, { progress }: HandlerContext): Promise<void> {
  for (let waited = 0; waited < sleepMs;) {
    const step = Math.min(TELL_EVERY_MS, sleepMs - waited);
    await sleep(step);
    waited += step;
    progress({ waited_ms: waited, of_ms: sleepMs });
  }
}
