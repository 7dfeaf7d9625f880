/**
 * Makes dist/, which is all that is published besides bin/: the program and its libraries as one bundle with shared
 * chunks, the declarations, and the licences of what is bundled.
 *
 * Everything is bundled: no package is native or has a part that is found at run time. So an installation is this
 * package alone, without install scripts, and a start reads a few files instead of a thousand.
 */
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "rolldown";
import { writeDeclarations } from "./build/declarations.ts";
import { packageOf, writeLicences } from "./build/licences.ts";

const ROOT = resolve(import.meta.dirname, "..");
const DIST = join(ROOT, "dist");

const ENTRIES: Readonly<Record<string, string>> = {
  index: "src/index.ts",
  "nursery/index": "src/nursery/index.ts",
  "workflow/index": "src/workflow/index.ts",
  "cli/main": "src/cli/main.ts",
};

rmSync(DIST, { recursive: true, force: true });
const { output } = await build({
  cwd: ROOT,
  input: ENTRIES,
  platform: "node",
  transform: { target: "node22" },
  output: {
    dir: DIST,
    format: "esm",
    chunkFileNames: "chunks/[name]-[hash].js",
    // Names stay, so that a stack trace says something; without white space and comments there is half as much to read.
    minify: { compress: true, mangle: false, codegen: { removeWhitespace: true } },
  },
});
const modules = output.flatMap((file) => (file.type === "chunk" ? file.moduleIds : []));
writeLicences(new Set(modules.flatMap((id) => packageOf(id) ?? [])), join(DIST, "THIRD-PARTY-LICENSES.txt"));
writeDeclarations(ROOT, DIST, Object.keys(ENTRIES));
