import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { flatRows, parseToolArguments } from "../../src/cli/arguments.ts";
import { InvalidInputError } from "../../src/errors.ts";

describe("arguments of a tool", () => {
  it("are nothing, a JSON object, or key=value words", () => {
    assert.deepEqual(parseToolArguments([]), {});
    assert.deepEqual(parseToolArguments(['{"a": [1]}']), { a: [1] });
    assert.deepEqual(parseToolArguments(["path=a=b.md", "n=5", "deep=true", 'list=["x"]', "empty="]), {
      path: "a=b.md",
      n: 5,
      deep: true,
      list: ["x"],
      empty: "",
    });
  });

  it("keep an id of digits as text, digit for digit", () => {
    const id = "00000000000000000000000000000042";
    const long = "12345678901234567890123456789012";
    assert.deepEqual(parseToolArguments([`task_id=${id}`, `other=${long}`, "e=1e5"]), {
      task_id: id,
      other: long,
      e: "1e5",
    });
  });

  it("must be JSON after := and are refused otherwise", () => {
    assert.deepEqual(parseToolArguments(["a:=1", 'b:="x"']), { a: 1, b: "x" });
    assert.throws(() => parseToolArguments(["a:=x"]), InvalidInputError);
    assert.throws(() => parseToolArguments(["x"]), InvalidInputError);
    assert.throws(() => parseToolArguments(["{"]), InvalidInputError);
  });
});

describe("flatRows", () => {
  it("shows nested members by dotted names", () => {
    assert.deepEqual(flatRows({ a: "x", b: { c: 1, d: [2] } }), [
      ["a", "x"],
      ["b.c", "1"],
      ["b.d", "[2]"],
    ]);
  });
});
