/**
 * A text that grows while a model writes it, and what of it is told as the task's progress.
 *
 * Each progress carries the end of the text and where that begins, so that whoever looks now and then can put the text
 * together without it being sent again and again as a whole.
 */
import type { JsonObject } from "../../content/json.ts";

/** How much of the end of the text a progress carries, in UTF-16 units: more than any model writes in a second. */
export const MAX_TOLD_CHARS = 16_384;
/** A text that grows beyond this is cut: its result must fit into a message, six bytes of JSON for each unit at worst. */
export const MAX_TEXT_CHARS: number = 1024 * 1024;

/** Grows, and tells. */
export class TextSoFar {
  readonly #tell: (progress: JsonObject) => void;
  readonly #limit: number;
  #parts: string[] = [];
  #end = "";
  #chars = 0;
  #truncated = false;

  /** @param limit - in UTF-16 units. Default {@link MAX_TEXT_CHARS} */
  constructor(tell: (progress: JsonObject) => void, limit: number = MAX_TEXT_CHARS) {
    this.#tell = tell;
    this.#limit = limit;
  }

  get text(): string {
    return this.#parts.join("");
  }

  /** Whether more came than is kept. */
  get truncated(): boolean {
    return this.#truncated;
  }

  /** Adds what came. @returns false if nothing more is kept */
  add(delta: string): boolean {
    const kept = whole(delta.slice(0, this.#limit - this.#chars));
    if (kept.length < delta.length) this.#truncated = true;
    if (kept !== "") {
      this.#parts.push(kept);
      this.#chars += kept.length;
      this.#end = (this.#end + kept).slice(-MAX_TOLD_CHARS);
      // Half a character cannot be stored.
      if (/^[\uDC00-\uDFFF]/.test(this.#end)) this.#end = this.#end.slice(1);
      this.#tell({ phase: "generating", text: this.#end, text_from: this.#chars - this.#end.length });
    }
    return !this.#truncated;
  }

  /** Forgets everything: the text is begun anew. */
  restart(): void {
    if (this.#chars > 0) this.#tell({ phase: "starting again", text: "", text_from: 0 });
    this.#parts = [];
    this.#end = "";
    this.#chars = 0;
    this.#truncated = false;
  }
}

/** Without half a character at the end. */
function whole(text: string): string {
  return /[\uD800-\uDBFF]$/.test(text) ? text.slice(0, -1) : text;
}
