import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createAuthority } from "../../src/authority/authority.ts";
import { OWNER, type PeerCaller } from "../../src/authority/caller.ts";
import { BusyError } from "../../src/errors.ts";
import { silentLogger } from "../../src/logger.ts";
import { cancelScope, sleepForever } from "../../src/nursery/index.ts";
import { createDispatcher } from "../../src/peer/dispatch.ts";
import { echo, plainMethods, served } from "../p2p/hosts.ts";

const { signal } = new AbortController();
const owner = { caller: OWNER, signal };
const stranger: PeerCaller = {
  kind: "peer",
  peerId: "12D3KooStranger",
  sameMachine: false,
  provedToken: false,
};

function dispatcher(methods = plainMethods): ReturnType<typeof createDispatcher> {
  return createDispatcher({ methods, authority: createAuthority(), logger: silentLogger });
}

const codeOf = async (name: string, params: unknown, run?: () => Promise<never>): Promise<string> => {
  const methods = run ? [served(echo, run)] : plainMethods;
  const outcome = await dispatcher(methods).dispatch(name, params, owner);
  return outcome.ok ? "ok" : outcome.error.code;
};

describe("the dispatcher", () => {
  it("answers with the value of the method", async () => {
    assert.deepEqual(await dispatcher().dispatch("test.echo", { value: 1 }, owner), {
      ok: true,
      value: { value: 1 },
    });
  });

  it("says what is wrong as plain data: no such method, bad input, no grant, a failure on purpose, a defect", async () => {
    assert.equal(await codeOf("no.such", {}), "E_METHOD_NOT_FOUND");
    assert.equal(await codeOf("test.echo", "no object"), "E_INVALID_INPUT");
    assert.equal(
      await codeOf("test.echo", { value: 1 }, () => Promise.reject(new BusyError("full"))),
      "E_BUSY",
    );
    assert.equal(
      await codeOf("test.echo", { value: 1 }, () => Promise.reject(new RangeError("bug"))),
      "E_INTERNAL",
    );
  });

  it("runs nothing for a caller without the grant", async () => {
    let ran = false;
    const method = served(echo, (input) => {
      ran = true;
      return Promise.resolve(input);
    });
    const outcome = await dispatcher([method]).dispatch(
      "test.echo",
      { value: 1 },
      { caller: stranger, signal },
    );
    assert.equal(!outcome.ok && outcome.error.code, "E_DENIED");
    assert.equal(ran, false);
  });

  it("lets cancellation through, so that a deadline is one", async () => {
    const methods = [served(echo, () => sleepForever())];
    const outcome = await cancelScope((scope) => {
      scope.cancel();
      return dispatcher(methods).dispatch("test.echo", { value: 1 }, owner);
    });
    assert.equal(outcome.ok, false);
  });

  it("is not made of two methods with one name", () => {
    assert.throws(() => dispatcher([...plainMethods, ...plainMethods]), TypeError);
  });
});
