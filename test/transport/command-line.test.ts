/** Command lines in options. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { InvalidInputError } from "../../src/errors.ts";
import { parseCommandLine } from "../../src/transport/command-line.ts";

describe("a command line", () => {
  it("is split at spaces, but not inside of quotes or after a backslash", () => {
    assert.deepEqual(parseCommandLine("  npx -y  pkg ."), ["npx", "-y", "pkg", "."]);
    assert.deepEqual(parseCommandLine(`a "b c" 'd e' f\\ g`), ["a", "b c", "d e", "f g"]);
    assert.deepEqual(parseCommandLine(`x--y="a b"'c'd`), ["x--y=a bcd"]);
    assert.deepEqual(parseCommandLine(`"" ''`), ["", ""]);
  });

  it("keeps backslashes inside of quotes unless they protect a quote or themselves", () => {
    assert.deepEqual(parseCommandLine(String.raw`"a\"b" "c\\d" "e\n" 'f\'`), ['a"b', "c\\d", "e\\n", "f\\"]);
  });

  it("has no shell in it", () => {
    assert.deepEqual(parseCommandLine("echo $HOME;ls|wc *"), ["echo", "$HOME;ls|wc", "*"]);
  });

  it("is refused if it is empty or a quote is open", () => {
    for (const text of ["", "   ", `a "b`, "a 'b", "a\\"])
      assert.throws(() => parseCommandLine(text), InvalidInputError, text);
  });
});
