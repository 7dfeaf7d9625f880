/**
 * What a container writes, while it writes it: lines for the task's log, and the end of each stream for its result.
 *
 * Everything is bounded: a container that writes without end costs no memory, and no more of the node's time than
 * {@link MAX_RATE_BYTES} take. The frames are those of Docker's attach (a byte for the stream, three of nothing, four for
 * the length, big-endian).
 */
import { StringDecoder } from "node:string_decoder";
import type { Clock } from "../../clock.ts";
import { sleep } from "../../nursery/index.ts";

/** How much of the end of each stream a result has. */
export const TAIL_BYTES: number = 64 * 1024;
/** A longer line is logged in parts. */
const MAX_LINE_CHARS = 4000;
/** How many lines may be logged at once, and how many a second after that: a log keeps 200 lines. */
const BURST_LINES = 200;
const LINES_PER_S = 50;
/** How much is read a second; beyond that the container waits until somebody reads. */
const MAX_RATE_BYTES: number = 4 * 1024 * 1024;
/** Over how long the rate is measured. */
const RATE_WINDOW_MS = 100;

/** Where lines go. */
export type LogLine = (stream: string, message: string) => void;

/** The streams by the number that a frame has. */
const STREAMS = ["stdin", "stdout", "stderr"] as const;

/** The end of a stream, as a result has it. */
export interface Tail {
  readonly text: string;
  readonly bytes: number;
  readonly truncated: boolean;
}

/** Takes what a container writes. */
export class Output {
  readonly #stdout: Stream;
  readonly #stderr: Stream;
  readonly #frames = new Frames((stream, part) => this.#stream(stream)?.take(part));
  readonly #clock: Clock;
  #windowAt = 0;
  #windowBytes = 0;

  constructor(clock: Clock, log: LogLine) {
    this.#clock = clock;
    const lines = new Allowance(clock, log);
    this.#stdout = new Stream("stdout", lines);
    this.#stderr = new Stream("stderr", lines);
  }

  /** Reads until the stream ends, no faster than it should be. */
  async read(source: AsyncIterable<Buffer | string>): Promise<void> {
    for await (const chunk of source) {
      const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
      this.#frames.take(bytes);
      await this.#slow(bytes.length);
    }
  }

  /** Logs what is left of unfinished lines. */
  end(): void {
    this.#stdout.end();
    this.#stderr.end();
  }

  get stdout(): Tail {
    return this.#stdout.tail;
  }

  get stderr(): Tail {
    return this.#stderr.tail;
  }

  #stream(number: number): Stream | undefined {
    const name = STREAMS[number];
    if (name === "stdout") return this.#stdout;
    return name === "stderr" ? this.#stderr : undefined;
  }

  async #slow(bytes: number): Promise<void> {
    const now = this.#clock.now();
    if (now - this.#windowAt > RATE_WINDOW_MS) {
      this.#windowAt = now;
      this.#windowBytes = 0;
    }
    this.#windowBytes += bytes;
    const dueMs = (this.#windowBytes / MAX_RATE_BYTES) * 1000;
    if (dueMs > RATE_WINDOW_MS) await sleep(dueMs - (now - this.#windowAt));
  }
}

/** Takes frames apart without ever holding one: a frame may say that it has 4 GiB. */
class Frames {
  readonly #part: (stream: number, part: Buffer) => void;
  readonly #header = Buffer.alloc(8);
  #have = 0;
  #left = 0;

  constructor(part: (stream: number, part: Buffer) => void) {
    this.#part = part;
  }

  take(chunk: Buffer): void {
    for (let rest = chunk; rest.length > 0;) {
      if (this.#left > 0) {
        const part = rest.subarray(0, this.#left);
        this.#part(this.#header.readUInt8(0), part);
        this.#left -= part.length;
        rest = rest.subarray(part.length);
      } else {
        const taken = rest.copy(this.#header, this.#have, 0, this.#header.length - this.#have);
        this.#have += taken;
        rest = rest.subarray(taken);
        if (this.#have === this.#header.length) {
          this.#have = 0;
          this.#left = this.#header.readUInt32BE(4);
        }
      }
    }
  }
}

/** One of the two streams. */
class Stream {
  readonly #name: string;
  readonly #lines: Allowance;
  readonly #decoder = new StringDecoder("utf8");
  #line = "";
  #end = Buffer.alloc(0);
  #bytes = 0;

  constructor(name: string, lines: Allowance) {
    this.#name = name;
    this.#lines = lines;
  }

  get tail(): Tail {
    const end = this.#end.subarray(-TAIL_BYTES);
    const cut = this.#bytes - end.length;
    const text = end.toString("utf8");
    return {
      text: cut > 0 ? `[… ${cut} bytes before this are left out]\n${text}` : text,
      bytes: this.#bytes,
      truncated: cut > 0,
    };
  }

  take(part: Buffer): void {
    this.#bytes += part.length;
    // Let grow to twice its size before it is cut, so that it is not copied for every byte.
    const joined = Buffer.concat([this.#end, part]);
    this.#end = joined.length > 2 * TAIL_BYTES ? Buffer.from(joined.subarray(-TAIL_BYTES)) : joined;
    this.#log(this.#decoder.write(part));
  }

  end(): void {
    this.#log(this.#decoder.end());
    if (this.#line !== "") this.#lines.log(this.#name, this.#line);
    this.#line = "";
    this.#lines.end();
  }

  #log(text: string): void {
    const lines = (this.#line + text).split("\n");
    this.#line = lines.pop() ?? "";
    for (const line of lines) this.#lines.log(this.#name, line.replace(/\r$/, ""));
    while (this.#line.length > MAX_LINE_CHARS) {
      this.#lines.log(this.#name, this.#line.slice(0, MAX_LINE_CHARS));
      this.#line = this.#line.slice(MAX_LINE_CHARS);
    }
  }
}

/** How many lines may be logged now. What is left out is counted, and the count is logged. */
class Allowance {
  readonly #clock: Clock;
  readonly #log: LogLine;
  #lines = BURST_LINES;
  #at: number;
  #skipped = 0;

  constructor(clock: Clock, log: LogLine) {
    this.#clock = clock;
    this.#log = log;
    this.#at = clock.now();
  }

  log(stream: string, message: string): void {
    const now = this.#clock.now();
    this.#lines = Math.min(BURST_LINES, this.#lines + ((now - this.#at) / 1000) * LINES_PER_S);
    this.#at = now;
    if (this.#lines < 1) {
      this.#skipped++;
      return;
    }
    this.#lines--;
    this.end();
    this.#log(stream, message);
  }

  /** Says how many lines are missing, if any. */
  end(): void {
    if (this.#skipped > 0) this.#log("worker", `[… ${this.#skipped} lines are left out]`);
    this.#skipped = 0;
  }
}
