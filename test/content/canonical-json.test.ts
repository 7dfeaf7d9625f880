import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { canonicalDigest, canonicalJson, MAX_JSON_DEPTH } from "../../src/content/canonical-json.ts";

describe("canonical JSON", () => {
  it("sorts members by UTF-16 unit and writes no white space", () => {
    const value = { "\u{1F600}": 1, "\uFB33": 2, b: [true, null], a: { z: 1, y: "é\u2028\u007f" }, "": 0 };
    assert.equal(
      canonicalJson(value),
      '{"":0,"a":{"y":"é\u2028\u007f","z":1},"b":[true,null],"\u{1F600}":1,"\uFB33":2}',
    );
  });

  it("escapes only what must be escaped, and writes numbers as ECMAScript does", () => {
    assert.equal(canonicalJson('"\\/\b\t\n\f\r\u0001'), String.raw`"\"\\/\b\t\n\f\r\u0001"`);
    assert.equal(
      canonicalJson([-0, 1e21, 1e-7, 333333333.3333333, 1.0]),
      "[0,1e+21,1e-7,333333333.3333333,1]",
    );
  });

  it("is the same for every order of members, and reads back as the same value", () => {
    const json = fc.jsonValue({ stringUnit: "grapheme" });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string({ unit: "grapheme" }), json)), (members) => {
        const value = Object.fromEntries(members);
        const turned = Object.fromEntries(Object.entries(value).toReversed());
        assert.equal(canonicalJson(turned), canonicalJson(value));
        assert.equal(canonicalJson(JSON.parse(canonicalJson(value))), canonicalJson(value));
      }),
    );
  });

  it("leaves out undefined members, and knows them from null", () => {
    assert.equal(canonicalJson({ a: undefined, b: null }), '{"b":null}');
  });

  it("refuses what has no single text", () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    let deep: unknown = 1;
    for (let i = 0; i <= MAX_JSON_DEPTH; i++) deep = [deep];
    const wrong = [
      Number.NaN,
      -Infinity,
      "\ud800",
      { "\udc00": 1 },
      cycle,
      deep,
      undefined,
      1n,
      [undefined],
      new Date(0),
    ];
    for (const value of wrong) assert.throws(() => canonicalJson(value), { code: "E_INVALID_INPUT" });
    const shared = { a: 1 };
    assert.equal(canonicalJson([shared, shared]), '[{"a":1},{"a":1}]');
  });

  it("has a known digest", () => {
    assert.equal(canonicalDigest({}), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
  });
});
