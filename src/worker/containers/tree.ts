/** The build context of a commit: a tar stream made by Git out of the tree at a path, and the Dockerfile beside it. */
import { posix } from "node:path";
import { InvalidInputError } from "../../errors.ts";
import { git, tooLarge } from "./git.ts";
import { MAX_CONTEXT_BYTES, MAX_DOCKERFILE_BYTES } from "./policy.ts";

/** Paths of a tree take less. */
const MAX_LISTING_BYTES = 64 * 1024 * 1024;
const MAX_PATH_CHARS = 1000;
/** More symbolic links than a repository has that people made. */
const MAX_LINKS = 1000;
/** Git's mode of a symbolic link. */
const LINK_MODE = "120000";

/** A path inside a commit, cleaned; "" is the root. @throws InvalidInputError if it leads out */
export function insidePath(name: string, path: string): string {
  const clean = posix.normalize(path.replace(/^\.\//, ""));
  const isWrong =
    path.length > MAX_PATH_CHARS ||
    posix.isAbsolute(path) ||
    clean === ".." ||
    clean.startsWith("../") ||
    /[\0\n\\]/.test(path) ||
    clean.startsWith(":");
  if (isWrong) throw new InvalidInputError(`payload.${name} must be a path inside the repository`);
  return clean === "." ? "" : clean.replace(/\/$/, "");
}

/** The text of a Dockerfile. A symbolic link is none. */
export async function readDockerfile(folder: string, commit: string, path: string): Promise<string> {
  const [entry] = await list(folder, ["ls-tree", "-z", commit, "--", path]);
  if (entry === undefined || entry.path !== path)
    throw new InvalidInputError(`there is no '${path}' in the repository`);
  if (entry.kind !== "blob" || entry.mode === LINK_MODE)
    throw new InvalidInputError(`'${path}' in the repository is no file`);
  return (await git(folder, ["cat-file", "blob", entry.id], undefined, MAX_DOCKERFILE_BYTES)).toString(
    "utf8",
  );
}

/**
 * Checks the tree at `path` and names it.
 *
 * @returns what `git archive` is to be given
 * @throws InvalidInputError if it is no folder, or has a symbolic link that leads out of it
 */
export async function contextTree(folder: string, commit: string, path: string): Promise<string> {
  const tree = path === "" ? `${commit}^{tree}` : `${commit}:${path}`;
  const kind = await git(folder, ["cat-file", "-t", tree]);
  if (kind.toString().trim() !== "tree")
    throw new InvalidInputError(`'${path}' in the repository is no folder`);
  const entries = await list(folder, ["ls-tree", "-r", "-z", "-l", tree]);
  const bytes = entries.reduce((total, entry) => total + entry.bytes, 0);
  if (bytes > MAX_CONTEXT_BYTES) throw tooLarge("the build context", MAX_CONTEXT_BYTES);
  const links = entries.filter((entry) => entry.mode === LINK_MODE);
  if (links.length > MAX_LINKS) throw new InvalidInputError("the build context has too many symbolic links");
  for (const link of links) {
    const target = (await git(folder, ["cat-file", "blob", link.id])).toString("utf8");
    const end = posix.normalize(posix.join(posix.dirname(link.path), target));
    if (posix.isAbsolute(target) || end === ".." || end.startsWith("../"))
      throw new InvalidInputError(`the symbolic link '${link.path}' leads out of the build context`);
  }
  return tree;
}

interface Entry {
  readonly mode: string;
  readonly kind: string;
  readonly id: string;
  readonly bytes: number;
  readonly path: string;
}

/** `<mode> <kind> <id>[ <size>]<TAB><path>`, each ended by NUL (git-ls-tree(1)). */
async function list(folder: string, args: readonly string[]): Promise<readonly Entry[]> {
  const text = (await git(folder, args, undefined, MAX_LISTING_BYTES)).toString("utf8");
  return text.split("\0").flatMap((line) => {
    const tab = line.indexOf("\t");
    const [mode = "", kind = "", id = "", size = "0"] = line.slice(0, tab).split(/ +/);
    return tab < 0 ? [] : [{ mode, kind, id, bytes: Number(size) || 0, path: line.slice(tab + 1) }];
  });
}

const BLOCK_BYTES = 512;

/** A number of a header, one character short of its field, which ends with NUL. */
function octal(value: number, bytes: number): string {
  return value.toString(8).padStart(bytes - 1, "0");
}

/** One file as the beginning of a tar archive (ustar, POSIX.1-1988); another archive may follow it. */
export function tarFile(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES);
  header.write(name, 0, 100);
  header.write(octal(0o644, 8), 100);
  header.write(octal(0, 8), 108);
  header.write(octal(0, 8), 116);
  header.write(octal(content.length, 12), 124);
  header.write(octal(0, 12), 136);
  header.write("        ", 148);
  header.write("0", 156);
  header.write("ustar\0\x300", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  const padding = Buffer.alloc((BLOCK_BYTES - (content.length % BLOCK_BYTES)) % BLOCK_BYTES);
  return Buffer.concat([header, content, padding]);
}
