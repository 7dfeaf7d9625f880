import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { silentLogger, type Logger } from "../../src/logger.ts";
import { DEFAULT_P2P_LIMITS } from "../../src/p2p/index.ts";
import { Protection } from "../../src/p2p/protection.ts";
import { TestClock } from "../support/clock.ts";

describe("a connection from an IPv6 link-local address", () => {
  it("is refused with a line in the log", () => {
    const lines: object[] = [];
    const logger: Logger = { ...silentLogger, warn: (facts) => void lines.push(facts) };
    const clock = new TestClock();
    const { door } = new Protection({ clock, logger, limits: DEFAULT_P2P_LIMITS, trustLoopback: true });
    assert.equal(door.check("fe80::1%eth0", "ipv6"), true);
    assert.equal(door.check("fd00::1", "ipv6"), false);
    assert.deepEqual(
      lines.map((line) => "offence" in line && line.offence),
      ["from a link-local address"],
    );
  });
});
