import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkToken, isProofOf, newNonce, proofOf } from "../../src/peer/token.ts";

const token = "0123456789abcdef0123456789abcdef";
const context = {
  clientPeerId: "client",
  serverPeerId: "server",
  clientNonce: newNonce(),
  serverNonce: newNonce(),
};

describe("a proof of the shared token", () => {
  it("holds for the token, the role, the peers and the nonces it was made for, and for nothing else", () => {
    const proof = proofOf(token, "client", context);
    assert.equal(isProofOf(token, "client", context, proof), true);
    assert.equal(isProofOf(token, "server", context, proof), false);
    assert.equal(isProofOf(`${token}!`, "client", context, proof), false);
    for (const field of ["clientPeerId", "serverPeerId", "clientNonce", "serverNonce"] as const) {
      assert.equal(isProofOf(token, "client", { ...context, [field]: newNonce() }, proof), false);
    }
    const shifted = { ...context, clientPeerId: "clien", serverPeerId: "tserver" };
    assert.equal(isProofOf(token, "client", shifted, proof), false);
    assert.equal(isProofOf(token, "client", context, ""), false);
    assert.equal(isProofOf(token, "client", context, proof.slice(1)), false);
  });

  it("is made with tokens that cannot be guessed only", () => {
    checkToken(token, "a test");
    assert.throws(() => checkToken(token.slice(1), "a test"), { code: "E_CONFIG", message: /a test/ });
  });
});
