import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { InvalidInputError } from "../../src/errors.ts";
import { integerOf, parsePythonJson, writePythonJson } from "../../src/content/python-json.ts";

describe("Python's JSON", () => {
  it("reads what Python writes and JSON does not know as null, but not inside strings", () => {
    const text = '{"a":NaN,"b":[Infinity,-Infinity,1e999],"c":"NaN \\" -Infinity","NaN":1}';
    assert.deepEqual(parsePythonJson(text), {
      a: null,
      b: [null, null, null],
      c: 'NaN " -Infinity',
      NaN: 1,
    });
  });

  it("carries integers of any size through unchanged", () => {
    const text = '{"n":12345678901234567890,"m":-9007199254740993,"small":9007199254740991,"f":1.5e300}';
    const value = parsePythonJson(text);
    assert.equal(JSON.parse(JSON.stringify(value)).n.$integer, "12345678901234567890");
    assert.equal(
      writePythonJson(value),
      '{"n":12345678901234567890,"m":-9007199254740993,"small":9007199254740991,"f":1.5e+300}',
    );
  });

  it("writes bigints as digits and NaN as null", () => {
    assert.equal(writePythonJson({ a: 2n ** 70n, b: Number.NaN }), '{"a":1180591620717411303424,"b":null}');
  });

  it("leaves alone an object that merely looks like an integer", () => {
    assert.equal(writePythonJson({ $integer: "5" }), '{"$integer":"5"}');
    assert.equal(writePythonJson({ $integer: "x" }), '{"$integer":"x"}');
  });

  it("tells the integer of each form", () => {
    assert.equal(integerOf(parsePythonJson("18446744073709551616")), 2n ** 64n);
    assert.equal(integerOf(7), 7n);
    assert.equal(integerOf(1.5), undefined);
    assert.equal(integerOf("7"), undefined);
  });

  it("refuses what is not JSON, with one kind of error", () => {
    const deep = `${"[".repeat(200_000)}NaN`;
    const texts = ["", "nan", "-NaN", "1NaN", '{"a":1', '"open NaN', "0x1", deep, "9".repeat(5000)];
    for (const text of texts)
      assert.throws(() => parsePythonJson(text), InvalidInputError, text.slice(0, 20));
    assert.throws(() => writePythonJson(undefined), InvalidInputError);
  });

  it("reads hostile text in time that grows with its length", () => {
    const begun = performance.now();
    assert.throws(() => parsePythonJson(`NaN${'"\\"'.repeat(500_000)}`), InvalidInputError);
    assert.ok(performance.now() - begun < 2000);
  });
});
