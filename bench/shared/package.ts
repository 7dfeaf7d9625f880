/** The package as users get it: packed, and installed into a folder of its own, without a registry. */
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const ROOT = resolve(import.meta.dirname, "../..");
const run = promisify(execFile);

/** Builds, packs and installs it in `folder`, which takes a while. @returns the program that users start */
export async function installPackage(folder: string): Promise<string> {
  const app = join(folder, "app");
  mkdirSync(app);
  writeFileSync(join(app, "package.json"), JSON.stringify({ name: "app", private: true }));
  await run("npm", ["pack", "--pack-destination", folder], { cwd: ROOT });
  const [tarball = ""] = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", join(folder, tarball)], { cwd: app });
  return join(app, "node_modules/mcplusplus/bin/mcpp.js");
}
