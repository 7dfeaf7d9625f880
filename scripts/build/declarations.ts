/**
 * The declarations of the library entries: what tsc emits, cut down to what the entries reach, importing nothing but
 * itself and Node.
 *
 * The packages are bundled, so their types are not there where ours are installed. The few that show in ours stand in
 * external.ts, which is held to the originals by assertions that tsc checks.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve, sep } from "node:path";

/** The packages whose types external.ts stands for. */
const STOOD_FOR: ReadonlySet<string> = new Set([
  "@modelcontextprotocol/client",
  "@modelcontextprotocol/server",
  "zod",
]);
const EXTERNAL = "external";
const IMPORT = /(\b(?:from|import)\s*\(?\s*)"([^"]+)"/g;

/** Writes the declarations of `entries` (paths under src/ without their ending) into `dist`. */
export function writeDeclarations(root: string, dist: string, entries: readonly string[]): void {
  const emitted = mkdtempSync(join(tmpdir(), "mcpp-declarations-"));
  try {
    emit(root, emitted);
    // The command line is no library.
    const queue = entries.filter((entry) => !entry.startsWith("cli/"));
    const seen = new Set(queue);
    for (const module of queue) {
      const found = copy(emitted, dist, module).filter((next) => !seen.has(next));
      for (const next of found) seen.add(next);
      queue.push(...found);
    }
    const external = readFileSync(join(root, "scripts/build/external.ts"), "utf8");
    writeFileSync(join(dist, `${EXTERNAL}.d.ts`), external);
  } finally {
    rmSync(emitted, { recursive: true });
  }
}

function emit(root: string, folder: string): void {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const options = ["--noEmit", "false", "--emitDeclarationOnly", "--rootDir", "src", "--outDir", folder];
  execFileSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json"), ...options], {
    stdio: "inherit",
    cwd: root,
  });
}

/** Copies one declaration, its imports made to end in `.js`. @returns the modules that it imports */
function copy(emitted: string, dist: string, module: string): string[] {
  const imported: string[] = [];
  const folder = dirname(module);
  const text = readFileSync(join(emitted, `${module}.d.ts`), "utf8");
  const ours = text.replaceAll(IMPORT, (whole, before: string, specifier: string) => {
    if (specifier.startsWith("node:")) return whole;
    if (STOOD_FOR.has(specifier)) return `${before}"${pathFrom(folder, EXTERNAL)}.js"`;
    if (!specifier.startsWith("."))
      throw new Error(
        `${module}.d.ts shows ${specifier}, which is not there where this package is installed`,
      );
    const target = relative(emitted, resolve(emitted, folder, specifier)).replace(/\.[jt]s$/, "");
    imported.push(target.split(sep).join("/"));
    return `${before}"${specifier.replace(/\.ts$/, ".js")}"`;
  });
  const path = join(dist, `${module}.d.ts`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, ours);
  return imported;
}

function pathFrom(folder: string, module: string): string {
  const path = relative(folder, module).split(sep).join("/");
  return path.startsWith(".") ? path : `./${path}`;
}
