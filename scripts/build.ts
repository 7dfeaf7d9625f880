/** Makes dist/: one bundle with shared chunks for Node 22, packages left outside, and the declarations. */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "rolldown";

const ROOT = resolve(import.meta.dirname, "..");
const DIST = join(ROOT, "dist");

rmSync(DIST, { recursive: true, force: true });
await build({
  cwd: ROOT,
  input: { index: "src/index.ts", "nursery/index": "src/nursery/index.ts", "cli/main": "src/cli/main.ts" },
  platform: "node",
  external: /^(?![./]|[a-zA-Z]:)/,
  transform: { target: "node22" },
  output: { dir: DIST, format: "esm", sourcemap: true, chunkFileNames: "chunks/[name]-[hash].js" },
});
execFileSync(
  process.execPath,
  [
    join(ROOT, "node_modules/typescript/bin/tsc"),
    "-p",
    join(ROOT, "tsconfig.build.json"),
    "--noEmit",
    "false",
    "--emitDeclarationOnly",
    "--rootDir",
    "src",
    "--outDir",
    DIST,
  ],
  { stdio: "inherit", cwd: ROOT },
);
