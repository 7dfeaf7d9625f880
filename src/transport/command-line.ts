/** Command lines as people write them in options: words, quotes and backslashes, but no shell. */
import { InvalidInputError } from "../errors.ts";

/**
 * The words of a command line, as a POSIX shell would split them, without expanding anything.
 *
 * Single quotes keep everything; inside double quotes a backslash protects `"` and `\`; outside of quotes it protects
 * whatever follows. `$`, `*`, `;`, `|` and the like are ordinary characters.
 *
 * @throws InvalidInputError if nothing is in it, or a quote or backslash is left open
 */
export function parseCommandLine(text: string): string[] {
  const words: string[] = [];
  let rest = text.trimStart();
  while (rest !== "") {
    const { word, length } = firstWord(rest, text);
    words.push(word);
    rest = rest.slice(length).trimStart();
  }
  if (words.length === 0) throw new InvalidInputError("the command line is empty");
  return words;
}

/** What a word is made of: a quoted part, an escaped character, or plain characters. */
const PART = /'(?<single>[^']*)'|"(?<double>(?:[^"\\]|\\[^])*)"|\\(?<escaped>[^])|(?<plain>[^\s'"\\]+)/y;

function firstWord(rest: string, whole: string): { readonly word: string; readonly length: number } {
  let word = "";
  PART.lastIndex = 0;
  let length = 0;
  for (let match = PART.exec(rest); match; match = PART.exec(rest)) {
    const { single, double, escaped, plain } = match.groups ?? {};
    word += single ?? double?.replaceAll(/\\(["\\])/g, "$1") ?? escaped ?? plain ?? "";
    length = PART.lastIndex;
  }
  const next = rest[length];
  if (next !== undefined && !/\s/.test(next)) {
    const what = next === "\\" ? "a backslash at its end" : `a quote ${next} that is not closed`;
    throw new InvalidInputError(`the command line '${whole}' has ${what}`);
  }
  return { word, length };
}
