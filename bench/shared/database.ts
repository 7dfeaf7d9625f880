/** A PostgreSQL server for the time of a benchmark. */
import { noServer, startPostgres } from "../../test/support/postgres.ts";

/** A server, or why there is none. */
export interface BenchDatabase extends AsyncDisposable {
  /** Undefined: there is no server. */
  readonly url: string | undefined;
  readonly missing: string;
}

/** Starts a server if one is installed. */
export async function startDatabase(): Promise<BenchDatabase> {
  if (noServer !== false) {
    return { url: undefined, missing: noServer, [Symbol.asyncDispose]: async () => undefined };
  }
  const server = await startPostgres();
  return { url: server.url(), missing: "", [Symbol.asyncDispose]: () => server.remove() };
}
