/**
 * The language of `when`, `for_each` and `${{ … }}`: values and comparisons, no arithmetic, no way to run code.
 *
 *     expression = or ;            or  = and { "||" and } ;          and = comparison { "&&" comparison } ;
 *     comparison = unary [ ("==" | "!=" | "<" | "<=" | ">" | ">=") unary ] ;
 *     unary      = "!" unary | literal | call | path | "(" expression ")" ;
 *     call       = name "(" [ expression { "," expression } ] ")" ;
 *     path       = name { "." name | "[" expression "]" } ;
 *     literal    = number | 'text' | "text" | true | false | null ;
 */
import { ExpressionError } from "../../errors.ts";
import { MAX_EXPRESSION_CHARS, MAX_NESTING } from "./limits.ts";

/** What a path can begin with. */
export const ROOTS = ["steps", "inputs", "item", "index", "run"] as const;

/** One of {@link ROOTS}. */
export type Root = (typeof ROOTS)[number];

/** The functions, with how many arguments they take. */
export const FUNCTIONS: Readonly<Record<string, number>> = {
  length: 1,
  contains: 2,
  startsWith: 2,
  endsWith: 2,
  default: 2,
  join: 2,
  json: 1,
  range: 1,
  flat: 1,
};

/** How two values can be compared. */
export type Comparison = "==" | "!=" | "<" | "<=" | ">" | ">=";

/** A parsed expression. */
export type Expression =
  | { readonly kind: "literal"; readonly value: string | number | boolean | null }
  | { readonly kind: "path"; readonly root: Root; readonly members: readonly Expression[] }
  | { readonly kind: "not"; readonly of: Expression }
  | { readonly kind: "both" | "either"; readonly left: Expression; readonly right: Expression }
  | {
      readonly kind: "compare";
      readonly by: Comparison;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Expression[] };

const TOKEN =
  /\s*(?:(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|([A-Za-z_][\w-]*)|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(\|\||&&|==|!=|<=|>=|[!<>().,[\]]))/y;

interface Token {
  readonly kind: "number" | "name" | "text" | "sign";
  readonly text: string;
  readonly at: number;
}

/** Parses an expression. @throws ExpressionError that says at which character it is wrong */
export function parseExpression(source: string): Expression {
  if (source.length > MAX_EXPRESSION_CHARS)
    throw new ExpressionError(`an expression has at most ${MAX_EXPRESSION_CHARS} characters`);
  return new Parser(source).whole();
}

function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  const end = source.trimEnd().length;
  for (let at = 0; at < end; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(source);
    if (!match) throw new ExpressionError(`'${source}' cannot be read from character ${at + 1} on`);
    const [whole, number, name, single, double, sign = ""] = match;
    const start = at + whole.length - whole.trimStart().length;
    const quoted = single ?? double;
    if (number !== undefined) tokens.push({ kind: "number", text: number, at: start });
    else if (name !== undefined) tokens.push({ kind: "name", text: name, at: start });
    else if (quoted !== undefined) tokens.push({ kind: "text", text: unescaped(quoted), at: start });
    else tokens.push({ kind: "sign", text: sign, at: start });
  }
  return tokens;
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };

function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/gs, (_, letter: string) => ESCAPES[letter] ?? letter);
}

const COMPARISONS: readonly string[] = ["==", "!=", "<", "<=", ">", ">="] satisfies readonly Comparison[];

function isComparison(text: string): text is Comparison {
  return COMPARISONS.includes(text);
}

const LITERALS: ReadonlyMap<string, boolean | null> = new Map([
  ["true", true],
  ["false", false],
  ["null", null],
]);

function isRoot(name: string): name is Root {
  return ROOTS.some((root) => root === name);
}

class Parser {
  readonly #source: string;
  readonly #tokens: readonly Token[];
  #next = 0;
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
    this.#tokens = tokensOf(source);
  }

  whole(): Expression {
    const parsed = this.#either();
    const rest = this.#tokens[this.#next];
    if (rest) throw this.#wrong(`'${rest.text}' is not expected here`, rest);
    return parsed;
  }

  #either(): Expression {
    this.#depth += 1;
    if (this.#depth > MAX_NESTING) throw this.#wrong(`it is nested more than ${MAX_NESTING} deep`);
    let left = this.#both();
    while (this.#takes("||")) left = { kind: "either", left, right: this.#both() };
    this.#depth -= 1;
    return left;
  }

  #both(): Expression {
    let left = this.#comparison();
    while (this.#takes("&&")) left = { kind: "both", left, right: this.#comparison() };
    return left;
  }

  #comparison(): Expression {
    const left = this.#unary(0);
    const by = this.#tokens[this.#next];
    if (by?.kind !== "sign" || !isComparison(by.text)) return left;
    this.#next += 1;
    return { kind: "compare", by: by.text, left, right: this.#unary(0) };
  }

  #unary(nots: number): Expression {
    if (nots > MAX_NESTING) throw this.#wrong(`it is nested more than ${MAX_NESTING} deep`);
    if (this.#takes("!")) return { kind: "not", of: this.#unary(nots + 1) };
    if (this.#takes("(")) {
      const inner = this.#either();
      this.#expect(")");
      return inner;
    }
    const token = this.#tokens[this.#next];
    if (!token || token.kind === "sign") throw this.#wrong("a value is missing", token);
    this.#next += 1;
    if (token.kind === "text") return { kind: "literal", value: token.text };
    if (token.kind === "number") return { kind: "literal", value: Number(token.text) };
    return this.#named(token);
  }

  #named(token: Token): Expression {
    const { text: name } = token;
    if (this.#takes("(")) return this.#call(token);
    const literal = LITERALS.get(name);
    if (literal !== undefined) return { kind: "literal", value: literal };
    if (!isRoot(name))
      throw this.#wrong(`'${name}' is none of ${ROOTS.join(", ")}; text needs quotes`, token);
    const members: Expression[] = [];
    for (;;) {
      if (this.#takes(".")) members.push(this.#member());
      else if (this.#takes("[")) {
        members.push(this.#either());
        this.#expect("]");
      } else return { kind: "path", root: name, members };
    }
  }

  #member(): Expression {
    const token = this.#tokens[this.#next];
    if (token?.kind !== "name") throw this.#wrong("a name must follow '.'", token);
    this.#next += 1;
    return { kind: "literal", value: token.text };
  }

  #call(token: Token): Expression {
    const { text: name } = token;
    const wanted = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
    if (wanted === undefined)
      throw this.#wrong(
        `there is no function '${name}'; there are ${Object.keys(FUNCTIONS).join(", ")}`,
        token,
      );
    const args: Expression[] = [];
    while (!this.#takes(")")) {
      if (args.length > 0) this.#expect(",");
      args.push(this.#either());
    }
    if (args.length !== wanted)
      throw this.#wrong(`${name} takes ${wanted} argument(s), not ${args.length}`, token);
    return { kind: "call", name, args };
  }

  #takes(sign: string): boolean {
    const token = this.#tokens[this.#next];
    if (token?.kind !== "sign" || token.text !== sign) return false;
    this.#next += 1;
    return true;
  }

  #expect(sign: string): void {
    if (!this.#takes(sign)) throw this.#wrong(`'${sign}' is missing`, this.#tokens[this.#next]);
  }

  #wrong(why: string, token?: Token): ExpressionError {
    const at = token ? ` (character ${token.at + 1})` : "";
    return new ExpressionError(`'${this.#source.trim()}': ${why}${at}`);
  }
}
