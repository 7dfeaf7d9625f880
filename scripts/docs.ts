/** Writes the generated pages of docs/reference/. */
import { mkdir, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { commands } from "../src/cli/commands/index.ts";
import { commandPage, configurationPage, oldVariablesPage } from "../src/cli/reference.ts";
import { limitsPage } from "./limits-page.ts";
import { taskTypesPage } from "./task-types-page.ts";
import { toolsPage } from "./tools-page.ts";
import { workflowJsonSchema, workflowPage } from "./workflow-page.ts";

const folder = fileURLToPath(new URL("../docs/reference/", import.meta.url));
await mkdir(folder, { recursive: true });
await writeFile(`${folder}cli.md`, commandPage(commands));
await writeFile(`${folder}configuration.md`, configurationPage());
await writeFile(`${folder}limits.md`, limitsPage());
await writeFile(`${folder}task-types.md`, taskTypesPage());
await writeFile(`${folder}tools.md`, toolsPage());
await writeFile(`${folder}workflow-file.md`, workflowPage());
await writeFile(`${folder}workflow-file.schema.json`, workflowJsonSchema());
await writeFile(`${folder}old-variables.md`, oldVariablesPage());
