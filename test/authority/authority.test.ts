import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createAuthority } from "../../src/authority/authority.ts";
import { type Caller, OWNER } from "../../src/authority/caller.ts";
import { covers, type Grant } from "../../src/authority/grant.ts";
import { DeniedError } from "../../src/errors.ts";

const ALL: readonly Grant[] = [
  "status",
  "observe",
  "submit",
  "work",
  "cache",
  "tools:fs__read_file",
  "admin",
];

function peer(facts: Partial<{ peerId: string; sameMachine: boolean; provedToken: boolean }> = {}): Caller {
  return { kind: "peer", peerId: "12D3KooWStranger", sameMachine: false, provedToken: false, ...facts };
}

function allowed(caller: Caller, allowPeers: readonly string[] = []): Grant[] {
  const authority = createAuthority({ allowPeers });
  return ALL.filter((grant) => covers(authority.grantsOf(caller), grant));
}

describe("authority", () => {
  it("lets the owner do everything", () => {
    assert.deepEqual(allowed(OWNER), ALL);
  });

  it("lets an unknown peer ask for status and nothing else", () => {
    assert.deepEqual(allowed(peer()), ["status"]);
  });

  it("trusts a peer of this machine, one on the allow-list, and one that proved the token; none is admin", () => {
    const trusted = ALL.filter((grant) => grant !== "admin");
    assert.deepEqual(allowed(peer({ sameMachine: true })), trusted);
    assert.deepEqual(allowed(peer({ provedToken: true })), trusted);
    assert.deepEqual(allowed(peer({ peerId: "12D3KooWFriend" }), ["12D3KooWFriend"]), trusted);
  });

  it("does not take one peer id for another", () => {
    assert.deepEqual(allowed(peer({ peerId: "12D3KooWFriend2" }), ["12D3KooWFriend"]), ["status"]);
  });

  it("says who lacks what", () => {
    assert.throws(
      () => createAuthority().require(peer(), "submit"),
      (error) => error instanceof DeniedError && /12D3KooWStranger.*'submit'/.test(error.message),
    );
  });
});

describe("tool grants", () => {
  it("match by pattern, and the pattern is literal but for *", () => {
    assert.equal(covers(["tools:fs__*"], "tools:fs__read_file"), true);
    assert.equal(covers(["tools:fs__*"], "tools:git__push"), false);
    assert.equal(covers(["tools:a.c"], "tools:abc"), false);
    assert.equal(covers(["tools:*"], "tools:anything at\nall"), true);
  });

  it("give nothing besides tools", () => {
    assert.equal(covers(["tools:*"], "submit"), false);
    assert.equal(covers(["submit"], "tools:x"), false);
  });
});
