/** A small file system of a test's own. */
import { execFileSync } from "node:child_process";
import { tempFolder } from "../store/temp-folder.ts";

/** A file system in memory. */
export interface SmallDisk extends Disposable {
  readonly path: string;
  /** Takes the right to write away from everybody, root too. Nobody may have a file open for writing. */
  makeReadOnly(): void;
}

/** Mounts a file system of `bytes`; undefined if this user may not. */
export function smallDisk(bytes: number): SmallDisk | undefined {
  const folder = tempFolder();
  const { path } = folder;
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "mcpp-test", path], { stdio: "ignore" });
  } catch {
    folder[Symbol.dispose]();
    return undefined;
  }
  return {
    path,
    makeReadOnly: () => void execFileSync("mount", ["-o", "remount,ro", path], { stdio: "ignore" }),
    [Symbol.dispose]() {
      execFileSync("umount", [path]);
      folder[Symbol.dispose]();
    },
  };
}
