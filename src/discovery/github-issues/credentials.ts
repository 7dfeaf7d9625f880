/** The token for the API: given, or asked for at the GitHub command line tool. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { ConfigError } from "../../errors.ts";
import { abortable, failAfter, rethrowIfCancelled } from "../../nursery/index.ts";
import { GH_TIMEOUT_MS, MAX_TOKEN_CHARS } from "./limits.ts";
import type { TokenSource } from "./settings.ts";

const run = promisify(execFile);

/** Where requests take their token from. */
export interface Credentials {
  /** Whether a token that is refused can be replaced by asking again. */
  readonly renewable: boolean;
  /** The token; undefined if requests carry none. @throws ConfigError if it cannot be had */
  token(): Promise<string | undefined>;
  /** Asks again. */
  renew(): Promise<string | undefined>;
}

/** The credentials that `source` says, for the API at `api`. */
export function credentialsOf(source: TokenSource, api: string): Credentials {
  if (source.from !== "gh") {
    const token = source.from === "given" ? source.token : undefined;
    const given = (): Promise<string | undefined> => Promise.resolve(token);
    return { renewable: false, token: given, renew: given };
  }
  const host = hostOf(api);
  let known: string | undefined;
  const renew = async (): Promise<string> => (known = await askGh(host, source.env));
  return { renewable: true, token: async () => known ?? (await renew()), renew };
}

/** The host that `gh` knows an API by: `api.github.com` is github.com's, `ghe.example/api/v3` is ghe.example's. */
export function hostOf(api: string): string {
  return new URL(api).host.replace(/^api\./, "");
}

async function askGh(host: string, env: Readonly<Record<string, string>>): Promise<string> {
  const args = ["auth", "token", "--hostname", host];
  let output: string;
  try {
    const { stdout } = await failAfter(GH_TIMEOUT_MS, () =>
      abortable((signal) =>
        run("gh", args, { env, signal, killSignal: "SIGKILL", maxBuffer: MAX_TOKEN_CHARS * 4 }),
      ),
    );
    output = stdout.trim();
  } catch (error) {
    rethrowIfCancelled(error);
    // The error holds what the tool wrote; that may be part of a token.
    const code = error instanceof Error && "code" in error ? ` (${String(error.code)})` : "";
    throw noToken(host, `cannot be asked for with 'gh auth token --hostname ${host}'${code}`);
  }
  if (output.length > MAX_TOKEN_CHARS || !/^[\x21-\x7e]+$/.test(output))
    throw noToken(host, "is not what 'gh auth token' prints");
  return output;
}

function noToken(host: string, why: string): ConfigError {
  return new ConfigError(`the token for ${host}`, undefined, why, {
    hint: `run 'gh auth login --hostname ${host}' as the user of the node, or name a file with a token`,
  });
}
