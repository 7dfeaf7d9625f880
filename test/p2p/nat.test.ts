import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { multiaddr } from "@multiformats/multiaddr";
import { natFinding, type OwnAddress } from "../../src/p2p/reach/nat.ts";

const at = (text: string, type: string, verified = true): OwnAddress => ({
  multiaddr: multiaddr(text),
  type,
  verified,
});
const NEAR = at("/ip4/192.168.1.2/tcp/4001", "transport");

describe("what is known of the NAT", () => {
  for (const [name, addresses, code] of [
    ["a public address of its own", [at("/ip4/203.0.113.5/tcp/1", "transport")], "nat-none"],
    ["one that nobody has dialled", [at("/ip4/203.0.113.5/tcp/1", "transport", false)], "nat-unconfirmed"],
    ["a router that lets others in", [NEAR, at("/ip4/203.0.113.5/tcp/1", "ip-mapping")], "nat-mapped"],
    ["an address that was dialled back", [NEAR, at("/ip4/203.0.113.5/tcp/1", "observed")], "nat-open"],
    ["one that only was seen", [NEAR, at("/ip4/203.0.113.5/tcp/1", "observed", false)], "nat-closed"],
    ["private addresses only", [NEAR], "nat-unknown"],
    ["loopback only", [at("/ip4/127.0.0.1/tcp/1", "transport")], "nat-none-to-tell"],
    [
      "a place at a relay, which says nothing of the NAT",
      [
        NEAR,
        at(
          `/ip4/203.0.113.5/tcp/1/p2p/12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo/p2p-circuit`,
          "transport",
        ),
      ],
      "nat-unknown",
    ],
  ] as const)
    it(`is named: ${name}`, () => assert.equal(natFinding(addresses, true).code, code));
});
