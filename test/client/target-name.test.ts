import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { targetName, withoutTarget } from "../../src/client/target-name.ts";

const SECRET = "SECRET-4711";

describe("the name of a target", () => {
  const names: readonly (readonly [string, string])[] = [
    ["npx -y some-server", "npx …(2 arguments)"],
    [`cmd --token=${SECRET}`, "cmd …(1 argument)"],
    [`"/opt/my tools/cmd" '${SECRET} x'`, "/opt/my tools/cmd …(1 argument)"],
    ["cmd", "cmd"],
    [`http://user:pw@example.org:81/mcp?key=${SECRET}#${SECRET}`, "http://example.org:81/…"],
    [`https://example.org/${SECRET}/mcp`, "https://example.org/…"],
    ["https://example.org", "https://example.org"],
  ];
  for (const [target, name] of names)
    it(`of ${JSON.stringify(target)} is ${name}`, () => assert.equal(targetName(target), name));
});

describe("a reason without its target", () => {
  const reasons: readonly (readonly [string, string])[] = [
    [`cmd --token=${SECRET}`, `cannot start: cmd --token=${SECRET}`],
    [`cmd --token=${SECRET}`, `bad token ${SECRET}`],
    [`cmd KEY=${SECRET} '--x y'`, `unknown word KEY=${SECRET}`],
    [`cmd "${SECRET}`, `the command line 'cmd "${SECRET}' has a quote that is not closed`],
    [`cmd --header "Authorization: Bearer ${SECRET}"`, `refused: Bearer ${SECRET}`],
    [`sh -c "echo failed ${SECRET} >&2; exit 3"`, `its last words: failed ${SECRET}`],
    [`http://u:${SECRET}@h.example/mcp`, `URL http://u:${SECRET}@h.example/mcp includes credentials`],
    [`http://h.example/mcp?key=${SECRET}`, `GET http://h.example/mcp?key=${SECRET} failed`],
    [`http://h.example/mcp?key=${SECRET}%20x`, `no such key: ${SECRET} x`],
    [`mcp-remote https://h.example/?key=${SECRET}`, `no such key: ${SECRET}`],
  ];
  for (const [target, reason] of reasons)
    it(`says ${JSON.stringify(reason)} without the secret`, () =>
      assert.doesNotMatch(withoutTarget(reason, target), /SECRET/));

  it("leaves everything else as it is", () => {
    assert.equal(withoutTarget("it ended with code 1", "npx -y thing"), "it ended with code 1");
  });
});
