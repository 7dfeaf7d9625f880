import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OWNER } from "../../src/authority/caller.ts";
import { findingsFor } from "../../src/tools/peers/diagnosis.ts";

const PEER = { kind: "peer", peerId: "12D3KooWOther", sameMachine: false, provedToken: true } as const;

describe("findings", () => {
  it("show addresses and paths to the owner only", () => {
    const findings = [
      {
        code: "interfaces",
        level: "ok",
        what: "listens on 127.0.0.1, ::1, /ip4/10.1.2.3/tcp/9710; not on 2001:db8::5, fe80::fc:ff:fe00:1, 2001:db8:1:2:3:4:5:6",
        next: "ls -ld /home/somebody/.local/share/node",
      },
      { code: "peers", level: "ok", what: "rendezvous: names 3 peers (12 ms) at 12:30:05" },
    ] as const;
    assert.deepEqual(findingsFor(OWNER, findings), findings);
    const [interfaces, peers] = findingsFor(PEER, findings);
    assert.equal(
      interfaces?.what,
      "listens on (hidden), (hidden), (hidden) not on (hidden), (hidden), (hidden)",
    );
    assert.equal(interfaces?.next, "ls -ld (hidden)");
    assert.match(peers?.what ?? "", /^rendezvous: names 3 peers \(12 ms\)/);
  });
});
