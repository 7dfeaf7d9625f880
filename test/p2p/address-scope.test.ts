import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isPublicAddress } from "../../src/p2p/address-scope.ts";

const ID = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

describe("an address for everybody to read", () => {
  for (const address of [
    "/ip4/203.0.113.7/tcp/1",
    "/ip4/172.32.0.1/udp/1/quic-v1",
    "/ip6/2001:db8::1/tcp/1",
    "/ip6/::ffff:203.0.113.7/tcp/1",
    "/dns4/node.example.org/tcp/443/wss",
    "/dnsaddr/example.org",
    `/ip4/203.0.113.7/tcp/1/p2p/${ID}/p2p-circuit`,
  ])
    it(`is ${address}`, () => assert.equal(isPublicAddress(address), true));

  for (const address of [
    "/ip4/127.0.0.1/tcp/1",
    "/ip4/0.0.0.0/tcp/1",
    "/ip4/10.0.0.1/tcp/1",
    "/ip4/100.64.0.1/tcp/1",
    "/ip4/169.254.169.254/tcp/80",
    "/ip4/172.31.255.255/tcp/1",
    "/ip4/192.168.0.1/tcp/1",
    "/ip4/239.0.0.1/udp/1",
    "/ip6/::1/tcp/1",
    "/ip6/::/tcp/1",
    "/ip6/fe80::1/tcp/1",
    "/ip6/fec0::1/tcp/1",
    "/ip6/fd12::1/tcp/1",
    "/ip6/::ffff:192.168.0.1/tcp/1",
    "/dns4/localhost/tcp/1",
    "/dns4/nas/tcp/1",
    "/dns4/box.local/tcp/1",
    "/dns4/box.home.arpa/tcp/1",
    "/dns4/api.internal./tcp/1",
    `/ip4/192.168.0.1/tcp/1/p2p/${ID}/p2p-circuit`,
    `/p2p/${ID}`,
    "/unix/tmp/x",
    "nonsense",
    "",
  ])
    it(`is not '${address}'`, () => assert.equal(isPublicAddress(address), false));
});
