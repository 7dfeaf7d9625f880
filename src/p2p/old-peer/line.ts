/**
 * One request and one answer, each a line of JSON, on a stream of their own: `/ipfs-datasets/task-queue/1.0.0`
 * (contract of the Python system, section 2.2).
 *
 * The answer may have as many bytes as any message here; the request not more than the old service reads.
 */
import { isUtf8 } from "node:buffer";
import type { Connection, Stream, StreamMessageEvent } from "@libp2p/interface";
import type { Clock } from "../../clock.ts";
import { isJsonObject, type JsonObject } from "../../content/json.ts";
import { parsePythonJson, writePythonJson } from "../../content/python-json.ts";
import { ConnectionLostError, MessageTooLargeError, ProtocolError } from "../../errors.ts";
import { suspend } from "../../nursery/index.ts";
import type { P2pLimits } from "../limits.ts";
import { TASK_QUEUE_PROTOCOL } from "../message.ts";
import { openStream } from "../open-stream.ts";

/** What an old service reads of a request, its newline included. */
export const MAX_LINE_BYTES: number = 1024 * 1024;

const NEWLINE = 0x0a;

/** What an exchange needs. */
export interface LineOptions {
  readonly clock: Clock;
  readonly limits: P2pLimits;
}

/**
 * Sends a request and waits for its answer, in the scope of the caller.
 *
 * @param opened - a stream that was opened and not used; absent, or ended meanwhile: another one is opened
 * @throws UnreachableError, MessageTooLargeError (nothing was sent); ConnectionLostError, ProtocolError
 */
export async function askLine(
  connection: Connection,
  message: JsonObject,
  options: LineOptions,
  opened?: Stream,
): Promise<JsonObject> {
  const line = Buffer.from(`${writePythonJson(message)}\n`);
  if (line.length > MAX_LINE_BYTES) {
    if (opened) endLine(opened, options);
    throw new MessageTooLargeError(`a request of ${line.length} bytes; an old peer reads ${MAX_LINE_BYTES}`);
  }
  const stream = opened && isUsable(opened) ? opened : await openStream(connection, [TASK_QUEUE_PROTOCOL]);
  const answer = await suspend<JsonObject>((resume, fail) => {
    const onEnd = (error: Error): void => {
      // First, because the abort is heard as another end.
      fail(error);
      if (stream.status === "open") stream.abort(error);
    };
    readAnswer(stream, options.limits.maxFrameBytes, resume, onEnd);
    try {
      stream.send(line);
    } catch (cause) {
      onEnd(new ConnectionLostError("the stream broke while it was written", { cause }));
    }
    return (reason) => onEnd(reason);
  });
  endLine(stream, options);
  return answer;
}

/** Gathers chunks until the first newline; whatever comes after it is not for us. */
function readAnswer(
  stream: Stream,
  maxBytes: number,
  onAnswer: (answer: JsonObject) => void,
  onFailure: (error: Error) => void,
): void {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let ended = false;
  const end = (act: () => void): void => {
    if (ended) return;
    ended = true;
    stream.removeEventListener("message", onData);
    stream.removeEventListener("end", onEnd);
    stream.removeEventListener("close", onEnd);
    act();
  };
  const finish = (): void => {
    try {
      const answer = parseAnswer(Buffer.concat(chunks, bytes));
      end(() => onAnswer(answer));
    } catch (error) {
      end(() => onFailure(error instanceof Error ? error : new ProtocolError(String(error))));
    }
  };
  const take = (chunk: Uint8Array): void => {
    if (ended) return;
    const newline = chunk.indexOf(NEWLINE);
    const part = newline < 0 ? chunk : chunk.subarray(0, newline);
    bytes += part.length;
    if (bytes > maxBytes) end(() => onFailure(new ProtocolError(`an answer of more than ${maxBytes} bytes`)));
    // A copy: the chunk's memory may be used again.
    chunks.push(Uint8Array.from(part));
    if (newline >= 0) finish();
  };
  const onData = ({ data }: StreamMessageEvent): void => {
    if (data instanceof Uint8Array) take(data);
    else for (const chunk of data) take(chunk);
  };
  const onEnd = (): void => {
    // Cut in the middle an object is no JSON, so what can be read is whole, newline or not.
    const whole = bytes > 0 && isWhole(Buffer.concat(chunks, bytes));
    if (whole) finish();
    else
      end(() => onFailure(new ConnectionLostError("the peer ended the stream before its answer was whole")));
  };
  stream.addEventListener("message", onData);
  stream.addEventListener("end", onEnd);
  stream.addEventListener("close", onEnd);
  if (stream.status !== "open") queueMicrotask(onEnd);
}

function isWhole(bytes: Buffer): boolean {
  return bytes.toString("utf8").trimEnd().endsWith("}");
}

function parseAnswer(bytes: Buffer): JsonObject {
  if (!isUtf8(bytes)) throw new ProtocolError("an answer is not UTF-8");
  let answer: unknown;
  try {
    answer = parsePythonJson(bytes.toString("utf8"));
  } catch (cause) {
    throw new ProtocolError("an answer is not JSON", { cause });
  }
  if (!isJsonObject(answer)) throw new ProtocolError("an answer is no JSON object");
  return answer;
}

function isUsable({ status, remoteWriteStatus }: Stream): boolean {
  return status === "open" && remoteWriteStatus === "writable";
}

/**
 * Closes a stream that has served or is not needed; whoever does not close its side in time is cut off. Cutting it off at
 * once would end the whole connection at a Python peer whose handler expects a line or the end.
 */
export function endLine(stream: Stream, { clock, limits }: LineOptions): void {
  if (stream.status !== "open") return;
  const late = (cause?: unknown): void =>
    stream.abort(new ConnectionLostError("the peer did not close the stream in time", { cause }));
  const stop = clock.schedule(late, limits.closeMs);
  stream.addEventListener("close", stop, { once: true });
  // Ends by itself or is ended by the clock; the answer is here already.
  stream.close().catch(late);
}
