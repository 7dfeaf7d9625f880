/**
 * How a method of ours is done at a peer that has none of them.
 *
 * Old peers know requests of one JSON object with an `op`, and answers with `ok` (contract of the Python system,
 * sections 2.4 and 3.7). A translation makes one of our methods out of such exchanges, or says that it cannot be done.
 */
import type { Clock } from "../../clock.ts";
import type { JsonObject } from "../../content/json.ts";
import { parseInput } from "../../content/parse.ts";
import type { Method } from "../../peer/rpc.ts";

/** What a translation can do, and what it must know. */
export interface OldExchange {
  /** The peer that is asked. */
  readonly peerId: string;
  readonly ownPeerId: string;
  readonly clock: Clock;
  /** What the caller gave the whole call. */
  readonly timeoutMs: number;
  /** The workers of the tasks that were claimed at this peer, by task id. */
  readonly workers: Map<string, string>;
  /** Sends a request and returns the answer. @throws what the peer refused it with */
  ask(message: JsonObject): Promise<JsonObject>;
  /** The same, but an answer that is not `ok` is an answer too. */
  askAnyway(message: JsonObject): Promise<JsonObject>;
}

/** One of our methods in the words of old peers, types erased. */
export interface Translation {
  readonly name: string;
  /**
   * Whether it may be sent again when its answer was lost. Not what the method says: a submit, for one, is made
   * harmless to repeat by a key that old queues do not know.
   */
  readonly repeatable: boolean;
  run(params: unknown, exchange: OldExchange): Promise<unknown>;
}

/** Binds a method to how it is done. */
export function translate<I, O>(
  method: Method<I, O>,
  repeatable: boolean,
  run: (input: I, exchange: OldExchange) => Promise<O>,
): Translation {
  return {
    name: method.name,
    repeatable,
    run: async (params, exchange) => run(parseInput(method.input, params, method.name), exchange),
  };
}

/** Seconds of the old wire, in whole milliseconds. */
export function seconds(ms: number): number {
  return Math.round(ms) / 1000;
}
