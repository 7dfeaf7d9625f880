/**
 * Names of images, in full, so that an allow-list means what it says.
 *
 * The grammar is that of the distribution project (reference.go); the default registry and tag are Docker's. An engine
 * is given the full name, since Podman may look for a short one elsewhere.
 */
import { InvalidInputError } from "../../errors.ts";

/** The parts of an image's name. */
export interface ImageName {
  /** With its registry, such as `docker.io/library/alpine`. */
  readonly name: string;
  /** Undefined if there is a digest and no tag. */
  readonly tag: string | undefined;
  /** `sha256:…`, if it is named. */
  readonly digest: string | undefined;
}

const NAME =
  /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?\/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const MAX_NAME_CHARS = 255;

/** Reads the name of an image. Ids of images are no names: they tell nothing of where an image is from. */
export function parseImage(text: string): ImageName {
  const [named = "", digest, ...rest] = text.split("@");
  const colon = named.lastIndexOf(":");
  const hasTag = colon > named.lastIndexOf("/");
  const name = hasTag ? named.slice(0, colon) : named;
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  const isWrong =
    rest.length > 0 ||
    name.length > MAX_NAME_CHARS ||
    !NAME.test(name) ||
    (tag !== undefined && !TAG.test(tag)) ||
    (digest !== undefined && !DIGEST.test(digest));
  if (isWrong) throw new InvalidInputError(`'${text.slice(0, MAX_NAME_CHARS)}' is no name of an image`);
  return { name: fullName(name), tag: tag ?? (digest === undefined ? "latest" : undefined), digest };
}

/** The full name as text, as an engine takes it. */
export function imageText({ name, tag, digest }: ImageName): string {
  if (digest !== undefined) return `${name}@${digest}`;
  return `${name}:${tag ?? "latest"}`;
}

/**
 * Whether one of `patterns` allows an image. A pattern is an image's name; without a tag it allows all tags and digests,
 * and `*` at its end stands for the rest of the name. `*` alone allows every image.
 */
export function isAllowedImage(image: ImageName, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => {
    if (pattern === "*") return true;
    if (pattern.endsWith("*")) return image.name.startsWith(fullPrefix(pattern.slice(0, -1)));
    const wanted = parseImage(pattern);
    if (wanted.name !== image.name) return false;
    if (wanted.digest !== undefined) return wanted.digest === image.digest;
    if (!/:[^/]*$/.test(pattern)) return true;
    return wanted.tag === image.tag && image.digest === undefined;
  });
}

function fullName(name: string): string {
  const slash = name.indexOf("/");
  if (slash < 0) return `docker.io/library/${name}`;
  const first = name.slice(0, slash);
  const isRegistry = first.includes(".") || first.includes(":") || first === "localhost";
  const rest = name.slice(slash + 1);
  if (!isRegistry) return `docker.io/${name}`;
  if (first === "docker.io" && !rest.includes("/")) return `docker.io/library/${rest}`;
  return name;
}

/** The start of a name must have its registry or owner whole, or `ghcr.io*` would allow `ghcr.io.example.org`. */
function fullPrefix(start: string): string {
  const slash = start.indexOf("/");
  if (slash < 0) return `docker.io/library/${start}`;
  const first = start.slice(0, slash);
  const isRegistry = first.includes(".") || first.includes(":") || first === "localhost";
  return isRegistry ? start : `docker.io/${start}`;
}
