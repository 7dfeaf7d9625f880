/**
 * Answers calls of the method table, whichever wire brought them: find, parse, ask authority, run.
 *
 * This is where errors become plain data; wires only write them down.
 */
import type { Authority } from "../authority/authority.ts";
import { callerName } from "../authority/caller.ts";
import { type ErrorFacts, errorFacts, MethodNotFoundError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { rethrowIfCancelled } from "../nursery/index.ts";
import type { CallContext, ServedMethod } from "./rpc.ts";

/** How a call ended: with a value, or with what went wrong as plain data. */
export type DispatchOutcome =
  | {
      readonly ok: true;
      readonly value: unknown;
      /** To be called if the value does not reach the caller. */
      readonly undo?: (() => Promise<void>) | undefined;
    }
  | { readonly ok: false; readonly error: ErrorFacts };

/** Answers calls by name. */
export interface Dispatcher {
  /**
   * Answers one call. Rejects only if the scope it runs in is cancelled; what else fails is in the outcome.
   *
   * @param name - as declared, without any prefix of the wire
   * @param params - as it came from the wire, not yet looked at
   */
  dispatch(name: string, params: unknown, context: CallContext): Promise<DispatchOutcome>;
}

/** What a dispatcher is made of. */
export interface DispatcherOptions {
  readonly methods: readonly ServedMethod[];
  readonly authority: Authority;
  readonly logger: Logger;
}

/**
 * A dispatcher for `methods`.
 *
 * @throws TypeError if two methods have the same name
 */
export function createDispatcher({ methods, authority, logger }: DispatcherOptions): Dispatcher {
  const table = new Map(methods.map((method) => [method.name, method]));
  if (table.size !== methods.length) throw new TypeError("two methods have the same name");

  return {
    async dispatch(name, params, context) {
      try {
        const method = table.get(name);
        if (!method) throw new MethodNotFoundError(name);
        const call = method.parse(params);
        authority.require(context.caller, call.grant);
        const value = await call.run(context);
        return call.undo
          ? { ok: true, value, undo: () => call.undo?.() ?? Promise.resolve() }
          : { ok: true, value };
      } catch (error) {
        rethrowIfCancelled(error);
        const facts = errorFacts(error);
        const line = { method: name, caller: callerName(context.caller), code: facts.code };
        if (facts.failureClass === "internal")
          logger.error({ ...line, err: error }, "a call failed unexpectedly");
        else logger.debug({ ...line, reason: facts.message }, "a call was refused");
        return { ok: false, error: facts };
      }
    },
  };
}
