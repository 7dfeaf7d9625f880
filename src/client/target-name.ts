/**
 * What may be said of a target to others: its program or host, never its arguments, credentials, path or query.
 *
 * Command lines and URLs carry keys, and names of targets get into logs and into the status that peers read.
 */

/** A shorter piece of a target is an ordinary word or flag; blanking it out everywhere would make messages unreadable. */
const MIN_PIECE_CHARS = 4;
const BLANK = "…";
/** What stands between the words of an argument. */
const WORD_ENDS = /[\s=:;,&?#"'`|<>(){}]+/;

/** A URL as its scheme and host, a command line as its program, both with a sign of what is left out. */
export function targetName(target: string): string {
  const url = urlOf(target);
  if (url) return `${url.origin}${url.href === `${url.origin}/` ? "" : `/${BLANK}`}`;
  const [program = "", ...args] = wordsOf(target);
  if (args.length === 0) return program;
  return `${program} ${BLANK}(${args.length} ${args.length === 1 ? "argument" : "arguments"})`;
}

/** `text` without any part of `target` that {@link targetName} leaves out. */
export function withoutTarget(text: string, target: string): string {
  const pieces = secretPieces(target)
    .filter((piece) => piece.length >= MIN_PIECE_CHARS)
    .toSorted((a, b) => b.length - a.length);
  const named = text.replaceAll(target, targetName(target));
  return pieces.reduce((rest, piece) => rest.replaceAll(piece, BLANK), named);
}

function secretPieces(target: string): string[] {
  const url = urlOf(target);
  const raw = url ? urlPieces(url) : wordsOf(target).slice(1).flatMap(argumentPieces);
  return [...new Set(raw.flatMap((piece) => [piece, decoded(piece)]))];
}

function urlPieces({ href, username, password, pathname, search, hash, searchParams }: URL): string[] {
  return [href, username, password, pathname, search, hash, ...searchParams.values()];
}

/** An argument, and the words in it: values such as `--token=…`, headers such as `Authorization: Bearer …`, whole scripts. */
function argumentPieces(argument: string): string[] {
  const url = urlOf(argument);
  const at = argument.indexOf("=");
  const words = argument.split(WORD_ENDS).filter((word) => !/^https?$/i.test(word));
  return [argument, ...(at < 0 ? [] : [argument.slice(at + 1)]), ...words, ...(url ? urlPieces(url) : [])];
}

/** Cut as a shell would, quotes taken away; a quote that is not closed reaches to the end. */
function wordsOf(command: string): string[] {
  const words = command.match(/(?:"[^"]*"?|'[^']*'?|[^\s"'])+/g) ?? [];
  return words.map((word) => word.replaceAll(/["']/g, ""));
}

function urlOf(target: string): URL | undefined {
  return /^https?:\/\//i.test(target) && URL.canParse(target) ? new URL(target) : undefined;
}

function decoded(piece: string): string {
  try {
    return decodeURIComponent(piece);
  } catch (error) {
    if (error instanceof URIError) return piece;
    throw error;
  }
}
