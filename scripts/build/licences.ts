/** The licences of the packages that are bundled, as one file. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What MIT asks to be passed on, for packages published under it (or under it at choice) without the text. */
const MIT = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

/** The folder of the package that a module is of; undefined for our own. */
export function packageOf(moduleId: string): string | undefined {
  return /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(moduleId)?.[1];
}

/**
 * Writes the licences of the packages in `folders` to `path`.
 *
 * @throws Error if a package has no licence file and is not under MIT
 */
export function writeLicences(folders: ReadonlySet<string>, path: string): void {
  const byText = new Map<string, string[]>();
  for (const folder of [...folders].sort()) {
    const { title, text } = licenceOf(folder);
    byText.set(text, [...(byText.get(text) ?? []), title]);
  }
  const parts = [...byText].map(([text, titles]) => `${titles.join("\n")}\n\n${text}\n`);
  const head = "This package contains the following others, each under the terms that stand below it.\n";
  writeFileSync(path, [head, ...parts].join(`\n${"-".repeat(80)}\n\n`));
}

function licenceOf(folder: string): { readonly title: string; readonly text: string } {
  const manifest: unknown = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const name = textOf(manifest, "name");
  const licence = textOf(manifest, "license");
  const holder = textOf(manifest, "author") || textOf(read(manifest, "author"), "name") || "its contributors";
  const title = `${name} ${textOf(manifest, "version")} (${licence})`;
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
  const texts = files.sort().map((file) => readFileSync(join(folder, file), "utf8").trim());
  if (texts.length > 0) return { title, text: texts.join("\n\n") };
  if (!/\bMIT\b/.test(licence)) throw new Error(`${name} (${licence}) has no licence file to pass on`);
  return {
    title: `${title}, taken under MIT\nCopyright (c) ${holder}, ${repositoryOf(manifest)}`,
    text: MIT,
  };
}

function repositoryOf(manifest: unknown): string {
  const repository = read(manifest, "repository");
  return textOf(repository, "url") || textOf(manifest, "repository");
}

function textOf(object: unknown, key: string): string {
  const value = read(object, key);
  return typeof value === "string" ? value : "";
}

function read(object: unknown, key: string): unknown {
  return typeof object === "object" && object !== null ? Reflect.get(object, key) : undefined;
}
