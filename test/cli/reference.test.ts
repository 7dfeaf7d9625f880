import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { commands } from "../../src/cli/commands/index.ts";
import { commandPage, configurationPage, oldVariablesPage } from "../../src/cli/reference.ts";
import { SETTING_NAMES, SETTINGS } from "../../src/config.ts";

const page = (name: string): Promise<string> =>
  readFile(new URL(`../../docs/reference/${name}.md`, import.meta.url), "utf8");

describe("the reference pages", () => {
  it("are as `node scripts/docs.ts` makes them now", async () => {
    assert.equal(await page("cli"), commandPage(commands));
    assert.equal(await page("configuration"), configurationPage());
    assert.equal(await page("old-variables"), oldVariablesPage());
  });

  it("name every setting with flag, variable, key and what is allowed", () => {
    const rows = configurationPage()
      .split("\n")
      .map((line) => line.split(/\s*(?<!\\)\|\s*/).slice(1, -1));
    for (const name of SETTING_NAMES) {
      const { flag, env, key } = SETTINGS[name];
      const row = rows.find((cells) => cells[1] === `\`${env}\``) ?? [];
      assert.equal(row.length, 5, name);
      assert.ok(flag === undefined || row[0]?.startsWith(`\`--${flag}`), name);
      assert.ok(key === undefined || row[2] === `\`${key}\``, name);
      assert.ok(
        rows.some((cells) => cells.length === 2 && cells[0] === `\`${env}\`` && cells[1] !== ""),
        name,
      );
    }
  });
});
