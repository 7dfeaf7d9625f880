/** Binds a declared method to what answers it. */
import { parseInput } from "../content/parse.ts";
import type { CallContext, Method, ServedMethod } from "./rpc.ts";

/**
 * A method that `handler` answers. The handler gets parsed input and runs only after the caller's grant was checked,
 * because a dispatcher sees the grant before it may run the call.
 *
 * @param undo - takes back what led to this answer, if it does not reach the caller
 */
export function serve<I, O>(
  method: Method<I, O>,
  handler: (input: I, context: CallContext) => Promise<O>,
  undo?: (answer: O, context: CallContext) => Promise<void>,
): ServedMethod {
  return {
    name: method.name,
    parse(raw) {
      const input = parseInput(method.input, raw, method.name);
      const grant = typeof method.grant === "function" ? method.grant(input) : method.grant;
      if (!undo) return { grant, run: (context) => handler(input, context) };
      let takeBack: (() => Promise<void>) | undefined;
      return {
        grant,
        async run(context) {
          const answer = await handler(input, context);
          takeBack = () => undo(answer, context);
          return answer;
        },
        undo: async () => takeBack?.(),
      };
    },
  };
}
