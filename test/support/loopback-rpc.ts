/** An {@link RpcClient} inside one process. Inputs, answers and errors pass through JSON text, as on a wire. */
import * as z from "zod";
import { createAuthority } from "../../src/authority/authority.ts";
import { type Caller, OWNER } from "../../src/authority/caller.ts";
import { type Clock, systemClock } from "../../src/clock.ts";
import { parseInput } from "../../src/content/parse.ts";
import {
  CancelledError,
  ConnectionLostError,
  errorFacts,
  MethodNotFoundError,
  PeerTimeoutError,
  RemoteError,
  UnreachableError,
  type FailureClass,
  isFailureClass,
} from "../../src/errors.ts";
import { abandonOnCancel, type Nursery } from "../../src/nursery/index.ts";
import {
  DEFAULT_RPC_TIMEOUT_MS,
  type Method,
  type PeerTarget,
  type RpcClient,
  type RpcOptions,
  type ServedMethod,
} from "../../src/peer/rpc.ts";

const answerSchema = z.union([
  z.object({ result: z.unknown() }),
  z.object({
    error: z.object({
      code: z.string(),
      failureClass: z.custom<FailureClass>(isFailureClass),
      message: z.string(),
      hint: z.string().optional(),
    }),
  }),
]);

/** What a loopback connects. */
export interface LoopbackOptions {
  /** Runs the handlers, as the serving node's nursery does. */
  readonly nursery: Nursery;
  readonly methods: readonly ServedMethod[];
  /** Who calls. Default: the owner. */
  readonly caller?: Caller | undefined;
  readonly clock?: Clock | undefined;
}

/** A connection that can break. */
export class LoopbackRpc implements RpcClient {
  readonly #options: LoopbackOptions;
  readonly #authority = createAuthority();
  readonly #underWay = new Set<(error: Error) => void>();
  #down = false;
  /** How many calls were made, by method. */
  readonly calls: Map<string, number> = new Map();

  constructor(options: LoopbackOptions) {
    this.#options = options;
  }

  /** Breaks the connection: calls under way are lost, later ones find nobody until {@link mend}. */
  cut(): void {
    this.#down = true;
    for (const fail of this.#underWay) fail(new ConnectionLostError("the connection broke"));
  }

  mend(): void {
    this.#down = false;
  }

  async call<I, O>(
    _target: PeerTarget,
    method: Method<I, O>,
    input: I,
    options: RpcOptions = {},
  ): Promise<O> {
    const { signal, timeoutMs = DEFAULT_RPC_TIMEOUT_MS } = options;
    const { nursery, clock = systemClock } = this.#options;
    this.calls.set(method.name, (this.calls.get(method.name) ?? 0) + 1);
    if (signal?.aborted) throw new CancelledError("the caller gave up");
    if (this.#down) throw new UnreachableError("nobody is there");
    const sent = JSON.stringify(input);
    const gone = new AbortController();
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const onAbort = (): void => reject(new CancelledError("the caller gave up"));
    signal?.addEventListener("abort", onAbort, { once: true });
    const undo = clock.schedule(() => reject(new PeerTimeoutError("loopback", timeoutMs)), timeoutMs);
    this.#underWay.add(reject);
    nursery
      .run(() => this.#answer(method.name, sent, gone.signal), { signal: gone.signal })
      .then(resolve, reject);
    try {
      const answer = parseInput(answerSchema, JSON.parse(await abandonOnCancel(promise)), "answer");
      if ("error" in answer) throw new RemoteError(answer.error);
      return parseInput(method.output, answer.result, method.name);
    } finally {
      gone.abort();
      undo();
      this.#underWay.delete(reject);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  async #answer(name: string, text: string, signal: AbortSignal): Promise<string> {
    const { methods, caller = OWNER } = this.#options;
    try {
      const method = methods.find((served) => served.name === name);
      if (!method) throw new MethodNotFoundError(name);
      const call = method.parse(JSON.parse(text));
      this.#authority.require(caller, call.grant);
      return JSON.stringify({ result: await call.run({ caller, signal }) });
    } catch (error) {
      return JSON.stringify({ error: errorFacts(error) });
    }
  }
}
