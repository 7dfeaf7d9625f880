import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { array, assert as check, dictionary, jsonValue, nat, property, string } from "fast-check";
import type { JsonObject } from "../../src/content/json.ts";
import { encodeFrames, FrameDecoder } from "../../src/p2p/frame.ts";

function frame(message: unknown): Buffer {
  const body = JSON.stringify(message);
  return encodeFrames([{ text: body, bytes: Buffer.byteLength(body) }]);
}

function collect(max = 1 << 20): { readonly decoder: FrameDecoder; readonly messages: JsonObject[] } {
  const messages: JsonObject[] = [];
  return {
    messages,
    decoder: new FrameDecoder(
      () => max,
      (message) => void messages.push(message),
    ),
  };
}

describe("frames", () => {
  it("are four bytes of length, big-endian, counting the bytes of the body and not its characters", () => {
    assert.deepEqual([...frame({ é: 1 }).subarray(0, 4)], [0, 0, 0, 8]);
  });

  it("come out as they went in, however the stream cuts them", () => {
    const messages = array(dictionary(string({ unit: "binary" }), jsonValue()), { maxLength: 6 });
    check(
      property(messages, array(nat(40), { maxLength: 50 }), (sent, cuts) => {
        const bytes = Buffer.concat(sent.map(frame));
        const { decoder, messages: got } = collect();
        let at = 0;
        for (const cut of cuts) {
          decoder.push(bytes.subarray(at, at + cut));
          at += cut;
        }
        decoder.push(bytes.subarray(at));
        assert.equal(JSON.stringify(got), JSON.stringify(sent));
        assert.equal(decoder.isInsideFrame, false);
      }),
    );
  });

  it("come out of chunks of one byte", () => {
    const { decoder, messages } = collect();
    for (const byte of frame({ text: "ü".repeat(100_000) })) decoder.push(Uint8Array.of(byte));
    assert.deepEqual(messages, [{ text: "ü".repeat(100_000) }]);
  });

  it("are refused by their length alone, before anything is allocated", () => {
    const { decoder } = collect(16 * 1024 * 1024);
    const before = process.memoryUsage().arrayBuffers;
    assert.throws(() => decoder.push(Uint8Array.of(0x7f, 0xff, 0xff, 0xff)), { code: "E_PROTOCOL" });
    const other = collect().decoder;
    other.push(Uint8Array.of(0x7f, 0xff));
    assert.throws(() => other.push(Uint8Array.of(0xff, 0xff)), { code: "E_PROTOCOL" });
    assert.ok(process.memoryUsage().arrayBuffers - before < 1024 * 1024);
  });

  it("make nobody allocate what they only announce", () => {
    const before = process.memoryUsage().arrayBuffers;
    const decoders = Array.from({ length: 64 }, () => collect(16 * 1024 * 1024).decoder);
    for (const decoder of decoders) decoder.push(Uint8Array.of(0x01, 0, 0, 0, 0x7b));
    assert.ok(process.memoryUsage().arrayBuffers - before < 16 * 1024 * 1024);
    assert.ok(decoders.every((decoder) => decoder.isInsideFrame));
  });

  it("are refused if they are empty, no JSON, no object, or no UTF-8", () => {
    const bodies = ["", "{", "[1]", "null", '"text"', "1"].map((body) => Buffer.from(body));
    for (const body of [...bodies, Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])]) {
      const head = Buffer.alloc(4);
      head.writeUInt32BE(body.length);
      assert.throws(() => collect().decoder.push(Buffer.concat([head, body])), { code: "E_PROTOCOL" });
    }
  });

  it("may hold the replacement character itself", () => {
    const { decoder, messages } = collect();
    decoder.push(frame({ text: "\uFFFD" }));
    assert.deepEqual(messages, [{ text: "\uFFFD" }]);
  });

  it("stop coming once the decoder is stopped, also in the middle of a chunk", () => {
    const messages: JsonObject[] = [];
    const decoder = new FrameDecoder(
      () => 1000,
      (message) => {
        messages.push(message);
        decoder.stop();
      },
    );
    decoder.push(Buffer.concat([frame({ n: 1 }), frame({ n: 2 })]));
    assert.deepEqual(messages, [{ n: 1 }]);
  });
});
