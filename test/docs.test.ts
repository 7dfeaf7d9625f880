/** What the documents say, done. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { limitsPage } from "../scripts/limits-page.ts";
import { taskTypesPage } from "../scripts/task-types-page.ts";
import { toolsPage } from "../scripts/tools-page.ts";
import { workflowJsonSchema, workflowPage } from "../scripts/workflow-page.ts";
import { cleanEnvironment, temporaryFolder } from "./support/node-process.ts";

const ROOT = resolve(import.meta.dirname, "..");
const run = promisify(execFile);

function read(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

function pages(): string[] {
  const docs = readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" });
  return ["README.md", ...docs.filter((file) => file.endsWith(".md")).map((file) => join("docs", file))];
}

function readmeCode(): string {
  return /```ts\n([\s\S]*?)```/.exec(read("README.md"))?.[1] ?? "";
}

describe("the documents", () => {
  it("have a tools page that is as `node scripts/docs.ts` makes it now", () => {
    assert.equal(read("docs/reference/tools.md"), toolsPage());
  });

  it("have a page of the task types that is as `node scripts/docs.ts` makes it now", () => {
    assert.equal(read("docs/reference/task-types.md"), taskTypesPage());
  });

  it("have a page and a schema of workflow files that are as `node scripts/docs.ts` makes them now", () => {
    assert.equal(read("docs/reference/workflow-file.md"), workflowPage());
    assert.equal(read("docs/reference/workflow-file.schema.json"), workflowJsonSchema());
  });

  it("have a limits page that is as `node scripts/docs.ts` makes it now", () => {
    assert.equal(read("docs/reference/limits.md"), limitsPage());
  });

  it("link only to what exists", () => {
    const broken = pages().flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:)([^)#]+)/g)]
        .map((match) => join(dirname(page), match[1] ?? ""))
        .filter((target) => !existsSync(join(ROOT, target)))
        .map((target) => `${page} → ${target}`),
    );
    assert.deepEqual(broken, []);
  });

  it("name only tests and benchmarks that exist", () => {
    const named = [...read("docs/guarantees.md").matchAll(/`((?:test|bench)\/[^`]*)`/g)].map(
      (match) => match[1] ?? "",
    );
    assert.ok(named.length > 5);
    assert.deepEqual(
      named.filter((path) => !existsSync(join(ROOT, path))),
      [],
    );
  });

  it("have a README whose code is the example's, but for where the package is", () => {
    assert.equal(read("examples/durable-call.ts").replace('"../src/index.ts"', '"mcplusplus"'), readmeCode());
    assert.match(read("README.md"), /node examples\/durable-call\.ts/);
  });

  it("have a README whose code runs as it stands", async () => {
    using folder = temporaryFolder();
    const code = readmeCode();
    const index = pathToFileURL(join(ROOT, "src/index.ts")).href;
    const here = code.replace('"mcplusplus"', JSON.stringify(index)).replace("/tmp/my-node", folder.path);
    const file = join(folder.path, "readme.ts");
    await writeFile(file, here);
    const { stdout } = await run(process.execPath, [file], { env: cleanEnvironment(folder.path) });
    assert.match(stdout, /status: 'completed'/);
    assert.match(stdout, /hello: 'world'/);
  });
});
