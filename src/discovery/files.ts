/** Small files that several processes write and read: whole or not there, never half. */
import { randomUUID } from "node:crypto";
import { open, readFile, rename, stat, unlink } from "node:fs/promises";

/** The file of a node with every address it can have is a few kilobytes; a larger one is another file. */
const MAX_FILE_BYTES = 64 * 1024;
/** The addresses say who is where on this machine; nobody else needs to know. */
const OWNER_ONLY = 0o600;

/** Writes `text` so that a reader sees the old file, the new one, or none. Its folder must exist. */
export async function replaceFile(file: string, text: string): Promise<void> {
  // In the same folder, because a rename is only atomic inside one file system.
  const temporary = `${file}.${randomUUID()}.tmp`;
  try {
    const handle = await open(temporary, "wx", OWNER_ONLY);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await unlink(temporary).catch(ignoreMissing);
    throw error;
  }
}

/** What is in `file`; undefined if it cannot be read or is too large to be one of ours. */
export async function readSmallFile(file: string): Promise<string | undefined> {
  try {
    // A pipe or a device has no size, and reading it may never end.
    const facts = await stat(file);
    return !facts.isFile() || facts.size > MAX_FILE_BYTES ? undefined : await readFile(file, "utf8");
  } catch (error) {
    // Not there, not ours to read, a folder: for finding peers all of it means that nobody is announced here.
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
}

/** Deletes `file` if it still holds `text`; another process may have written its own since. */
export async function removeIfStill(file: string, text: string): Promise<void> {
  if ((await readSmallFile(file)) !== text) return;
  await unlink(file).catch(ignoreMissing);
}

/** The value of a JSON text; undefined if it is none. */
export function parseJson(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // Half a file of a program that does not write atomically: as good as none.
    return undefined;
  }
}

function ignoreMissing(error: unknown): void {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
  throw error;
}
