/** Lines out of a stream of bytes, with a limit on what one line may hold back. */

/** The byte that ends a line. */
const NEWLINE = 0x0a;

/**
 * Cuts chunks into lines. Bytes of an unfinished line are kept as they came and joined once, so a long line costs no
 * more per byte than a short one.
 */
export class LineCutter {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  /** @param maxBytes - the longest line, without its end */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether the unfinished line is already longer than allowed. */
  get overflown(): boolean {
    return this.#bytes > this.#maxBytes;
  }

  /** Takes a chunk. @returns the lines it ends, without their ends; those over the limit are among them */
  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = [];
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      this.#keep(chunk.subarray(from, at));
      lines.push(this.take());
      from = at + 1;
    }
    if (from < chunk.length) this.#keep(chunk.subarray(from));
    return lines;
  }

  /** Gives up what there is of the unfinished line, and starts a new one. */
  take(): Buffer {
    const [only] = this.#parts;
    const line = this.#parts.length === 1 && only ? only : Buffer.concat(this.#parts, this.#bytes);
    this.#parts = [];
    this.#bytes = 0;
    return line;
  }

  #keep(part: Buffer): void {
    if (part.length === 0) return;
    this.#parts.push(part);
    this.#bytes += part.length;
  }
}
