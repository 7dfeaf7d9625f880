/** The setting that says where the queue is kept. A database's URL may have a password, so it is never shown whole. */
import { BadValue, type Kind } from "./kind.ts";
import type { DatabaseUrl, StoreName } from "./node-config.ts";

const ENGINES = ["sqlite", "memory"] as const;
const ALLOWED = `one of ${ENGINES.join(", ")}, or a URL such as postgres://user@host/database`;
const HIDDEN = "(hidden)";

/** Whether a value names a database on a server. */
export function isDatabaseUrl(value: string): value is DatabaseUrl {
  return /^postgres(ql)?:\/\/\S+$/.test(value);
}

/** `sqlite`, `memory`, or the URL of a database. */
export function storeKind(): Kind<StoreName> {
  return {
    placeholder: "sqlite|memory|url",
    allowed: ALLOWED,
    many: false,
    read(raw) {
      const engine = ENGINES.find((one) => one === raw);
      if (engine !== undefined) return engine;
      if (typeof raw === "string" && isDatabaseUrl(raw)) return raw;
      // What was written may be a URL with a slip of the pen and a password.
      throw new BadValue(`must be ${ALLOWED}`);
    },
    show: shownStore,
  };
}

/** A store as it may be shown: without the user, the password and the parameters of a URL. */
export function shownStore(store: string): string {
  if (!isDatabaseUrl(store)) return store;
  const [scheme = "", rest = ""] = store.split(/(?<=^postgres(?:ql)?:\/\/)/);
  // A password may have any of @ / ? # unescaped by mistake; what follows the last @ is the host.
  const at = rest.lastIndexOf("@");
  const [address, ...parameters] = rest.slice(at + 1).split(/[?#]/);
  const account = at < 0 ? "" : `${HIDDEN}@`;
  return `${scheme}${account}${address}${parameters.length > 0 ? `?${HIDDEN}` : ""}`;
}
