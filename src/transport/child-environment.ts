/** What a spawned server gets to know of our environment: enough to run, no secrets. */
import { MARKER_VARIABLE } from "./process-tree.ts";

/** Variables that programs need to find their files, language, network and caches, on any system. */
const HARMLESS: ReadonlySet<string> = new Set(
  `PATH HOME LOGNAME USER SHELL TERM PWD TMPDIR TMP TEMP TZ LANG LANGUAGE
   XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_RUNTIME_DIR XDG_STATE_HOME
   SSL_CERT_FILE SSL_CERT_DIR NODE_EXTRA_CA_CERTS NO_PROXY no_proxy
   APPDATA COMSPEC HOMEDRIVE HOMEPATH LOCALAPPDATA PATHEXT PROCESSOR_ARCHITECTURE
   PROGRAMDATA PROGRAMFILES PROGRAMFILES(X86) SYSTEMDRIVE SYSTEMROOT USERNAME USERPROFILE WINDIR`.split(/\s+/),
);

/**
 * The environment of a child.
 *
 * @param ambient - ours; only harmless variables of it are passed on
 * @param given - passed on as they are; they win
 * @param marker - by which the child and all it starts can be recognised
 */
export function childEnvironment(
  ambient: Readonly<Record<string, string | undefined>> = {},
  given: Readonly<Record<string, string>> = {},
  marker: string,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(ambient)) {
    if (value !== undefined && isHarmless(name)) environment[name] = value;
  }
  return { ...environment, ...given, [MARKER_VARIABLE]: marker };
}

function isHarmless(name: string): boolean {
  // Windows spells Path and ComSpec as it likes.
  return HARMLESS.has(name) || HARMLESS.has(name.toUpperCase()) || name.startsWith("LC_");
}
