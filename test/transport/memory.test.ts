import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import { ConnectionLostError } from "../../src/errors.ts";
import { memoryPair } from "../../src/transport/index.ts";
import { settled } from "../support/clock.ts";

const note = (step: number): JSONRPCMessage => ({ jsonrpc: "2.0", method: "note", params: { step } });

describe("memory transport", () => {
  it("delivers in order, one message a turn, and nothing before the start", async () => {
    const [near, far] = memoryPair();
    const seen: unknown[] = [];
    Object.assign(far, { onmessage: (message: JSONRPCMessage) => seen.push(message) });
    await near.start();
    for (const step of [1, 2, 3]) await near.send(note(step));
    await settled();
    assert.deepEqual(seen, []);
    await far.start();
    await settled(1);
    assert.equal(seen.length, 1);
    await settled(3);
    assert.deepEqual(seen, [note(1), note(2), note(3)]);
  });

  it("closes both ends once, and sends no more", async () => {
    const [near, far] = memoryPair();
    const closed: string[] = [];
    Object.assign(near, { onclose: () => closed.push("near") });
    Object.assign(far, { onclose: () => closed.push("far") });
    await Promise.all([near.start(), far.start()]);
    await near.close();
    await far.close();
    assert.deepEqual(closed.toSorted(), ["far", "near"]);
    await assert.rejects(far.send(note(1)), ConnectionLostError);
  });
});
