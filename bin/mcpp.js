#!/usr/bin/env node
/*
 * The command `mcpp`. Written so that old versions of Node can parse it too and say what is missing: neither import
 * statements nor anything newer than 2015 but `import()`, and nothing is loaded before the version is known.
 */
var NEEDED = [22, 19];

function isOldNode() {
  var parts = process.versions.node.split(".").map(Number);
  return parts[0] < NEEDED[0] || (parts[0] === NEEDED[0] && parts[1] < NEEDED[1]);
}

function start() {
  return Promise.all([import("node:module"), import("node:fs")]).then(function (modules) {
    // Compiled code is kept between starts, which saves about a third of the time.
    modules[0].enableCompileCache();
    var source = new URL("../src/cli/main.ts", import.meta.url);
    // A checkout runs from its sources, whatever was built there before; the package has none.
    return import(
      modules[1].existsSync(source) ? source.href : new URL("../dist/cli/main.js", import.meta.url).href
    );
  });
}

if (isOldNode()) {
  process.stderr.write(
    "mcpp needs Node.js " +
      NEEDED.join(".") +
      " or newer, and this is " +
      process.versions.node +
      "; without installing one: npx -p node@24 -p mcplusplus mcpp " +
      process.argv.slice(2).join(" ") +
      "\n",
  );
  process.exitCode = 1;
} else {
  void start().then(function (cli) {
    return cli.main(process.argv.slice(2));
  });
}
