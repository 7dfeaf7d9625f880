/** How long things may take. `MCPP_INTEROP_PATIENCE` multiplies it, for machines with too much to do. */
const patience = Math.max(1, Number(process.env["MCPP_INTEROP_PATIENCE"] ?? "1") || 1);

/** A scenario; it takes less than ten seconds on an idle machine. */
export const LIMIT: { readonly timeout: number } = { timeout: 30_000 * patience };
/** A scenario in which nodes that look every 15 seconds must find each other. */
export const LONG_LIMIT: { readonly timeout: number } = { timeout: 60_000 * patience };
/** Python imports libp2p in about two seconds. */
export const START_LIMIT_MS: number = 25_000 * patience;
/** Longer than any command of a scenario takes. */
export const COMMAND_LIMIT_MS: number = 28_000 * patience;
