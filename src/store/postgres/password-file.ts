/** A password file as libpq has them: https://www.postgresql.org/docs/current/libpq-pgpass.html */
import { readFileSync, statSync } from "node:fs";
import { InvalidInputError } from "../../errors.ts";

/** The permission bits of everybody but the owner. */
const OTHERS = 0o077;

/** Whose password is asked for. */
export interface Account {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/**
 * The password of the first line that fits; undefined if none does.
 *
 * @throws InvalidInputError if the file cannot be read, or can be read by others
 */
export function passwordFrom(path: string, account: Account): string | undefined {
  const wanted = [account.host, String(account.port), account.database, account.user];
  for (const line of read(path).split("\n")) {
    if (line.startsWith("#") || line.trim() === "") continue;
    const [password, ...fields] = fieldsOf(line.replace(/\r$/, "")).toReversed();
    const named = fields.toReversed();
    const fits =
      named.length === wanted.length && named.every((field, i) => field === "*" || field === wanted[i]);
    if (fits) return password;
  }
  return undefined;
}

/** The fields between colons; a backslash takes a colon or a backslash as it is. */
function fieldsOf(line: string): string[] {
  const fields = line.match(/(?:\\.|[^:\\])*(?::|$)/g) ?? [];
  return fields.slice(0, 5).map((field) => field.replace(/:$/, "").replaceAll(/\\(.)/g, "$1"));
}

function read(path: string): string {
  let text: string;
  let mode: number;
  try {
    text = readFileSync(path, "utf8");
    mode = statSync(path).mode;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new InvalidInputError(`the password file of the database cannot be read: ${why}`, { cause: error });
  }
  if (process.platform !== "win32" && (mode & OTHERS) !== 0) {
    throw new InvalidInputError(`others can read the password file of the database: ${path}`, {
      hint: `chmod 600 '${path}', and change the password if others may have read it`,
    });
  }
  return text;
}
