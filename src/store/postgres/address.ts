/**
 * A `postgres://` URL as what a connection needs.
 *
 * The parameters are those of libpq that make sense here, and a few of ours. They are read here and not by `pg`, which
 * gives `sslmode` other meanings than libpq and warns about it. What the URL leaves out, `pg` takes from the variables of
 * libpq (`PGHOST`, `PGUSER`, `PGPASSWORD`, …).
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
 */
import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";
import { InvalidInputError } from "../../errors.ts";
import { passwordFrom } from "./password-file.ts";

/** The schema of our tables, if the URL names none. */
const DEFAULT_SCHEMA = "mcplusplus";
/** One for each kind of work that may be under way at once; more only help a slow network. */
const DEFAULT_POOL = 5;
const MAX_POOL = 100;
/** Longer than any statement of ours takes on a server that is well. */
const DEFAULT_STATEMENT_MS = 10_000;
const MAX_STATEMENT_MS = 600_000;
const DEFAULT_CONNECT_S = 5;
const MAX_CONNECT_S = 60;
const DEFAULT_PORT = 5432;

/** Lower case, so that it never needs quotes. */
const SCHEMA = /^[a-z_][a-z0-9_]{0,62}$/;
const SSL_MODES = ["disable", "require", "verify-ca", "verify-full"] as const;
const PARAMETERS: ReadonlySet<string> = new Set([
  "host",
  "port",
  "user",
  "password",
  "dbname",
  "passfile",
  "connect_timeout",
  "application_name",
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "statement_timeout",
  "schema",
  "pool_size",
]);

/** Where a database is and how it is talked to. The password is in it: not for messages. */
export interface Address {
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  readonly ssl: false | ConnectionOptions;
  readonly applicationName: string;
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly schema: string;
  readonly poolSize: number;
  /** For messages: without user, password and parameters. */
  readonly shown: string;
}

/** @throws InvalidInputError naming the part that is wrong, never its value */
export function parseAddress(url: string): Address {
  const parts = splitUrl(url);
  for (const name of parts.parameters.keys()) if (!PARAMETERS.has(name)) throw wrong(name, "is not known");
  const text = (name: string): string | undefined => parts.parameters.get(name) || undefined;
  const host = text("host") ?? (parts.host || undefined);
  const port = number(text("port") ?? (parts.port || undefined), "port", 1, 65_535);
  const user = text("user") ?? (parts.user || undefined);
  const database = text("dbname") ?? (parts.database || undefined);
  const schema = text("schema") ?? DEFAULT_SCHEMA;
  if (!SCHEMA.test(schema)) throw wrong("schema", "must be lower-case letters, digits and _, at most 63");
  const passfile = text("passfile");
  const given = text("password") ?? (parts.password || undefined);
  const account = {
    host: host ?? "localhost",
    port: port ?? DEFAULT_PORT,
    database: database ?? user ?? "",
    user: user ?? "",
  };
  return {
    host,
    port,
    user,
    password: given ?? (passfile === undefined ? undefined : passwordFrom(passfile, account)),
    database,
    ssl: tlsOf(host, text),
    applicationName: text("application_name") ?? "mcplusplus",
    connectTimeoutMs:
      1000 * (number(text("connect_timeout"), "connect_timeout", 1, MAX_CONNECT_S) ?? DEFAULT_CONNECT_S),
    statementTimeoutMs:
      number(text("statement_timeout"), "statement_timeout", 1, MAX_STATEMENT_MS) ?? DEFAULT_STATEMENT_MS,
    schema,
    poolSize: number(text("pool_size"), "pool_size", 1, MAX_POOL) ?? DEFAULT_POOL,
    shown: `${host ?? "the default host"}${port === undefined ? "" : `:${port}`}/${database ?? ""}`,
  };
}

interface UrlParts {
  readonly host: string;
  readonly port: string;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly parameters: ReadonlyMap<string, string>;
}

function splitUrl(url: string): UrlParts {
  try {
    // A URL with a user but no host, as libpq allows for sockets, is none after the standard.
    const emptyHost = /^(postgres(?:ql)?:\/\/[^/?#]*@)(?=[/?#]|$)/;
    const dummy = emptyHost.test(url);
    const { hostname, port, username, password, pathname, searchParams } = new URL(
      url.replace(emptyHost, "$1none.invalid"),
    );
    return {
      host: dummy ? "" : decodeURIComponent(hostname).replace(/^\[(.*)\]$/, "$1"),
      port,
      user: decodeURIComponent(username),
      password: decodeURIComponent(password),
      database: decodeURIComponent(pathname.slice(1)),
      parameters: new Map(searchParams),
    };
  } catch {
    // Not passed on as the cause: it has the URL, and with it the password.
    throw new InvalidInputError(
      "the address of the database is not a URL such as postgres://user@host/database",
      {
        hint: "letters that mean something in a URL, such as @ : / ? # %, are written %40 %3A %2F %3F %23 %25 in a password",
      },
    );
  }
}

/**
 * How the connection is protected. Beyond this machine the default is to encrypt and to check who answers; libpq's own
 * default, `prefer`, protects from nobody who can change the traffic.
 */
function tlsOf(
  host: string | undefined,
  text: (name: string) => string | undefined,
): false | ConnectionOptions {
  const mode = SSL_MODES.find(
    (one) => one === (text("sslmode") ?? (isHere(host) ? "disable" : "verify-full")),
  );
  if (mode === undefined) throw wrong("sslmode", `must be one of ${SSL_MODES.join(", ")}`);
  if (mode === "disable") return false;
  const ca = file("sslrootcert", text);
  const cert = file("sslcert", text);
  const key = file("sslkey", text);
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    // As with libpq, `require` checks the certificate if there is one to check it against.
    rejectUnauthorized: mode !== "require" || ca !== undefined,
    ...(mode !== "verify-full" && { checkServerIdentity: () => undefined }),
  };
}

function isHere(host: string | undefined): boolean {
  return host === undefined || host.startsWith("/") || /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host);
}

function file(name: string, text: (name: string) => string | undefined): string | undefined {
  const path = text(name);
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new InvalidInputError(`the address of the database: ${name} cannot be read: ${why}`, {
      cause: error,
    });
  }
}

function number(text: string | undefined, name: string, min: number, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw wrong(name, `must be a whole number from ${min} to ${max}`);
}

function wrong(name: string, why: string): InvalidInputError {
  // A long name may be a piece of a password that was not written as a URL wants it.
  return new InvalidInputError(`the address of the database: the parameter ${name.slice(0, 30)} ${why}`);
}
