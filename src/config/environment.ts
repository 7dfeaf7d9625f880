/** The process's environment, which nobody else reads. */
import { nearMiss } from "./near-miss.ts";

/** Environment variables, as Node has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What a spawned MCP server inherits: what it takes to find programs, the home folder, the network and the language.
 *
 * Everything else stays here, above all `MCPP_TOKEN` and other programs' secrets.
 */
const INHERITED: ReadonlySet<string> = new Set([
  ..."PATH HOME USER LOGNAME SHELL TERM LANG LANGUAGE TZ TMPDIR TMP TEMP".split(" "),
  ..."HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY NODE_EXTRA_CA_CERTS SSL_CERT_FILE SSL_CERT_DIR".split(" "),
  ..."XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_RUNTIME_DIR".split(" "),
  ..."NPM_CONFIG_REGISTRY NPM_CONFIG_CACHE NPM_CONFIG_USERCONFIG".split(" "),
  ..."APPDATA LOCALAPPDATA PROGRAMFILES PROGRAMDATA SYSTEMDRIVE SYSTEMROOT WINDIR COMSPEC PATHEXT".split(" "),
  ..."USERPROFILE HOMEDRIVE HOMEPATH".split(" "),
]);

/** The environment of this process. */
export function processEnvironment(): Environment {
  return process.env;
}

/** Tells a process that it is one of several of a node, and which. Not a setting: `mcpp serve` gives it to those it starts. */
const SLOT_VARIABLE = "MCPLUSPLUS_SLOT";

/** The environment of the process that has the place `slot` among those of a node. */
export function slotEnvironment(slot: number): Record<string, string> {
  const own = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  return { ...Object.fromEntries(own), [SLOT_VARIABLE]: String(slot) };
}

/** Which of the processes of a node this one is, from 0; undefined if it is none. */
export function ownSlot(): number | undefined {
  const text = process.env[SLOT_VARIABLE];
  return text !== undefined && /^\d{1,3}$/.test(text) ? Number(text) : undefined;
}

/** The part of `env` that spawned MCP servers inherit; names are compared without case, as proxies need it. */
export function childEnvironment(env: Environment = process.env): Record<string, string> {
  const inherited: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    const upper = name.toUpperCase();
    if (value !== undefined && (INHERITED.has(upper) || upper.startsWith("LC_"))) inherited[name] = value;
  }
  return inherited;
}

/** Whether text on `stream` may be coloured: a terminal, and neither NO_COLOR (no-color.org) nor TERM=dumb. */
export function wantsColor(stream: { readonly isTTY?: boolean }, env: Environment = process.env): boolean {
  return stream.isTTY === true && !env["NO_COLOR"] && env["TERM"] !== "dumb";
}

/** Warnings about variables that look like settings and are none. */
export function strangeVariables(env: Environment, known: readonly string[]): string[] {
  const strange = Object.keys(env).filter((name) => name.startsWith("MCPP_") && !known.includes(name));
  return strange.map((name) => {
    const near = nearMiss(name, known);
    return `${name} is not a setting and has no effect${near ? `; did you mean ${near}?` : ""}`;
  });
}
