/**
 * Makes dist/, which is all that is published besides bin/: the program and its libraries as one bundle with shared
 * chunks, the declarations, and the licences of what is bundled.
 *
 * Everything that is depended on is bundled: no such package is native or has a part that is found at run time. So an installation is this
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
  "sim/index": "src/sim/index.ts",
  "cli/main": "src/cli/main.ts",
};

/**
 * Parts of the container library that nothing here uses, and that would bring native code or files read at run time: SSH to
 * a remote engine, certificates of one, and BuildKit's sessions. In the bundle they are empty.
 */
const UNUSED = /^(ssh2|split-ca|protobufjs|@grpc\/grpc-js|@grpc\/proto-loader)$/;
const EMPTY = "\0unused";

rmSync(DIST, { recursive: true, force: true });
const { output } = await build({
  cwd: ROOT,
  input: ENTRIES,
  platform: "node",
  // Native, large, and there only if its user wants it: see peerDependencies.
  external: ["@huggingface/transformers"],
  transform: { target: "node22" },
  plugins: [
    {
      name: "leave out what is not used",
      resolveId: (id) => (UNUSED.test(id) ? EMPTY : null),
      load: (id) => (id === EMPTY ? "module.exports = () => [];" : null),
    },
  ],
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
