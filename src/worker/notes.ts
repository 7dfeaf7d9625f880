/** Progress and log lines of one running task on their way to its queue, several together. */
import type { Clock } from "../clock.ts";
import type { JsonObject } from "../content/json.ts";
import { moveOnAfter, sleep, suspend } from "../nursery/index.ts";
import type { TaskNote } from "../task/queue.ts";
import { cutText } from "../task/drafts.ts";
import { type LogLine, MAX_LOG_LINES } from "../task/task.ts";

/** At most this often; a tool that reports each row must not cost a transaction a row. */
export const NOTE_INTERVAL_MS = 250;
/** How long one note may take; the next one brings what it did not. */
const SEND_LIMIT_MS = 5000;

/** Collects what a handler says and sends it now and then. */
export class Notes {
  readonly #clock: Clock;
  readonly #send: (note: TaskNote) => Promise<boolean>;
  #progress: JsonObject | undefined;
  #logs: LogLine[] = [];
  #wake: (() => void) | undefined;

  /** @param send - says whether the note arrived, or need not be sent again */
  constructor(clock: Clock, send: (note: TaskNote) => Promise<boolean>) {
    this.#clock = clock;
    this.#send = send;
  }

  progress(patch: JsonObject): void {
    this.#progress = { ...this.#progress, ...patch };
    this.#wake?.();
  }

  /** Beyond as many lines as a task keeps, the oldest go. */
  log(stream: string, message: string): void {
    this.#logs.push({ atMs: this.#clock.epochMs(), stream, message: cutText(message) });
    if (this.#logs.length > MAX_LOG_LINES) this.#logs.shift();
    this.#wake?.();
  }

  /** Sends until the enclosing scope is cancelled. */
  async run(): Promise<never> {
    for (;;) {
      await suspend<void>((resume, fail) => {
        this.#wake = resume;
        if (!this.#isEmpty) resume();
        return fail;
      });
      await this.flush();
      await sleep(NOTE_INTERVAL_MS);
    }
  }

  /** Sends what there is. What does not arrive stays for the next time. */
  async flush(): Promise<void> {
    if (this.#isEmpty) return;
    const progress = this.#progress;
    const logs = this.#logs;
    this.#progress = undefined;
    this.#logs = [];
    const note = { ...(progress ? { progress } : {}), ...(logs.length > 0 ? { logs } : {}) };
    const sent = await moveOnAfter(SEND_LIMIT_MS, () => this.#send(note));
    if (sent.ok && sent.value) return;
    if (progress) this.#progress = Object.assign({}, progress, this.#progress);
    this.#logs = [...logs, ...this.#logs].slice(-MAX_LOG_LINES);
  }

  get #isEmpty(): boolean {
    return this.#progress === undefined && this.#logs.length === 0;
  }
}
