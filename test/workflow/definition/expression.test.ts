import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { ExpressionError } from "../../../src/errors.ts";
import { evaluate } from "../../../src/workflow/definition/evaluate.ts";
import { parseExpression } from "../../../src/workflow/definition/expression.ts";
import { render } from "../../../src/workflow/definition/template.ts";

const SCOPE = {
  steps: {
    "fetch-it": { state: "completed", result: { items: [{ n: 1 }, { n: 2 }], name: "Ä\"'", "odd key": 3 } },
  },
  inputs: { limit: 2, flag: false, nothing: null },
  run: { id: "r1", workflow: "w" },
};

const VALUES: readonly (readonly [source: string, value: unknown])[] = [
  ["steps.fetch-it.result.items[1].n", 2],
  ["steps.fetch-it.result.items[-1].n", 2],
  ["steps.fetch-it.result['odd key']", 3],
  ["length(steps.fetch-it.result.items) >= inputs.limit && !inputs.flag", true],
  ["inputs.limit == 2.0 || 1 == 2", true],
  ["steps.fetch-it.result.items[0] == steps.fetch-it.result.items[0]", true],
  ["inputs.nothing == null", true],
  ["default(steps.fetch-it.result.none, 'x')", "x"],
  ["default(inputs.nothing, 5)", 5],
  ["contains('abc', \"b\") && contains(range(3), 2) && startsWith('abc', 'a') && endsWith('abc', 'c')", true],
  ["join(range(3), '-')", "0-1-2"],
  ["json(inputs)", '{"flag":false,"limit":2,"nothing":null}'],
  ["'it\\'s'", "it's"],
  ["(1 < 2) == true", true],
];

const REFUSED: readonly (readonly [source: string, why: RegExp])[] = [
  ["", /value is missing/],
  ["1 2", /'2' is not expected/],
  ["steps.x.result", /steps\.x\.result has no value/],
  ["inputs.constructor", /has no value/],
  ["inputs.__proto__", /has no value/],
  ["steps.fetch-it.result.items.length", /has no value/],
  ["steps.fetch-it.result.items[2]", /has no value/],
  ["process.exit()", /'process' is none of/],
  ["length('a')('b')", /not expected/],
  ["length()", /takes 1 argument/],
  ["toString(1)", /no function/],
  ["!inputs.limit", /not true or false/],
  ["inputs.limit < 'a'", /two numbers or two texts/],
  ["length(5)", /takes a list/],
  ["range(1000000)", /whole number/],
  [`${"(".repeat(70)}1${")".repeat(70)}`, /nested/],
  ["!".repeat(70) + "true", /nested/],
  ["x".repeat(5000), /characters/],
  [`${"json(".repeat(40)}'"'${")".repeat(40)}`, /bytes/],
];

describe("an expression", () => {
  for (const [source, value] of VALUES)
    it(`has a value: ${source}`, () => assert.deepEqual(evaluate(parseExpression(source), SCOPE), value));

  for (const [source, why] of REFUSED)
    it(`is refused: ${source.slice(0, 40)}`, () => {
      assert.throws(
        () => evaluate(parseExpression(source), SCOPE),
        (error) => error instanceof ExpressionError && why.test(error.message),
      );
    });

  it("is refused or has a value, whatever it is", () => {
    const words = [
      "steps",
      ".",
      "fetch-it",
      "result",
      "(",
      ")",
      "[",
      "]",
      "0",
      "'a'",
      "==",
      "&&",
      "!",
      "length",
      ",",
      "inputs",
      " ",
      "limit",
      "json",
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...words), { maxLength: 20 }), (parts) => {
        try {
          evaluate(parseExpression(parts.join("")), SCOPE);
        } catch (error) {
          assert.ok(error instanceof ExpressionError, String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a value with references", () => {
  it("takes a whole reference for the value and one in text for its text", () => {
    const template = {
      whole: "${{ steps.fetch-it.result.items }}",
      text: "${{ run.id }}: ${{ steps.fetch-it.result.items[0] }} of ${{ inputs.limit }}${{ steps.fetch-it.result.name }}",
      plain: "$${{ run.id }} and } and {{",
      quoted: "${{ '}}' }}!",
      nested: [{ deep: "${{ inputs.flag }}" }, 5, null],
    };
    assert.deepEqual(render(template, SCOPE), {
      whole: [{ n: 1 }, { n: 2 }],
      text: 'r1: {"n":1} of 2Ä"\'',
      plain: "${{ run.id }} and } and {{",
      quoted: "}}!",
      nested: [{ deep: false }, 5, null],
    });
  });

  it("does not grow without limit by repeating a reference", () => {
    const scope = { inputs: { big: "x".repeat(1_000_000) } };
    const template = Array.from({ length: 10 }, () => "${{ inputs.big }}");
    assert.throws(() => render(template, scope), /more than \d+ bytes/);
  });
});
