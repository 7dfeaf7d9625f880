/**
 * Shows what is new about a task: what it wrote, the text that a model is writing, how far it is.
 *
 * Each piece of news is shown once, also after a lost connection: the queue is always asked for what came after the last
 * answer that was shown.
 */
import { isJsonObject, type JsonObject } from "../content/json.ts";
import type { Output } from "./output.ts";

/** Shows the news of one task. */
export class Follower {
  readonly #out: Output;
  #since = "";
  #progress = "";
  #status = "";
  /** How much of a growing text was shown, in UTF-16 units. */
  #textChars = 0;
  /** Whether the last thing on standard output was a text that has no end of line yet. */
  #openLine = false;

  constructor(out: Output) {
    this.#out = out;
  }

  /** From where on there is something new. */
  get since(): string {
    return this.#since;
  }

  /** Shows an answer of `p2p_taskqueue_wait_task` with `since`. */
  show(answer: JsonObject): void {
    const { next, missed, task } = answer;
    if (typeof next === "string") this.#since = next;
    if (!isJsonObject(task)) return;
    this.#showStatus(task);
    const notes = isJsonObject(task["result"]) ? task["result"] : {};
    if (typeof missed === "number" && missed > 0) this.#showMissed(missed);
    const { logs, progress } = notes;
    for (const line of Array.isArray(logs) ? logs.filter(isJsonObject) : []) this.#showLine(line);
    if (isJsonObject(progress)) this.#showProgress(progress);
  }

  /** Ends a line that was begun. */
  end(): void {
    if (this.#openLine && !this.#out.json) this.#out.passOn("stdout", "\n", {});
    this.#openLine = false;
  }

  #showStatus({ status, attempt, assigned_worker: worker }: JsonObject): void {
    const key = JSON.stringify([status, attempt, worker]);
    if (key === this.#status) return;
    this.#status = key;
    if (this.#out.json) this.#out.result("", { event: "status", status, attempt, assigned_worker: worker });
    else if (status === "running")
      this.#note(`running on ${String(worker)}${attempt === 1 ? "" : `, attempt ${String(attempt)}`}`);
    else this.#note(String(status));
  }

  #showMissed(lines: number): void {
    this.end();
    this.#out.passOn("stderr", `[… ${lines} lines are left out]\n`, { event: "missed", lines });
  }

  #showLine({ ts, stream, message }: JsonObject): void {
    this.end();
    const target = stream === "stdout" ? "stdout" : "stderr";
    this.#out.passOn(target, `${String(message)}\n`, { event: "log", stream, message, ts });
  }

  /** A model's text has its end in `text`, which begins at `text_from`; everything else is progress. */
  #showProgress({ text, text_from: from, ...rest }: JsonObject): void {
    if (typeof text === "string") this.#showText(text, typeof from === "number" ? from : 0);
    const shown = JSON.stringify(rest);
    if (shown === this.#progress) return;
    this.#progress = shown;
    if (this.#out.json) this.#out.result("", { event: "progress", progress: rest });
    else if (shown !== "{}") this.#note(wordsOf(rest));
  }

  #showText(text: string, from: number): void {
    const end = from + text.length;
    // Begun anew.
    if (end < this.#textChars) {
      this.end();
      this.#textChars = 0;
    }
    if (from > this.#textChars) this.#showGap(from - this.#textChars);
    const fresh = text.slice(Math.max(0, this.#textChars - from));
    this.#textChars = end;
    if (fresh === "") return;
    this.#out.passOn("stdout", fresh, { event: "text", text: fresh });
    this.#openLine = !fresh.endsWith("\n");
  }

  #showGap(chars: number): void {
    this.end();
    this.#out.passOn("stderr", `[… ${chars} characters are left out]\n`, { event: "missed", chars });
  }

  #note(words: string): void {
    if (this.#out.isLive) this.#out.live([words]);
    else if (!this.#openLine) this.#out.note(words);
  }
}

/** Progress for people: `phase=running image=…`. */
function wordsOf(progress: JsonObject): string {
  return Object.entries(progress)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
}
