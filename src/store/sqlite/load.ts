/** Loads `node:sqlite` without the warning that Node 22 prints for it: it would end up in the output of every command. */
import type { DatabaseSync } from "node:sqlite";

type Sqlite = { readonly DatabaseSync: typeof DatabaseSync };

/** The module, loaded at the first call. Importing it by name anywhere else would bring the warning back. */
export function loadSqlite(): Sqlite {
  const original = Object.getOwnPropertyDescriptor(process, "emitWarning");
  process.emitWarning = new Proxy(process.emitWarning.bind(process), {
    apply(target, self, args): unknown {
      return isAboutSqlite(args) ? undefined : Reflect.apply(target, self, args);
    },
  });
  try {
    return process.getBuiltinModule("node:sqlite");
  } finally {
    if (original) Object.defineProperty(process, "emitWarning", original);
  }
}

function isAboutSqlite([message, kind]: readonly unknown[]): boolean {
  return kind === "ExperimentalWarning" && typeof message === "string" && message.startsWith("SQLite");
}
