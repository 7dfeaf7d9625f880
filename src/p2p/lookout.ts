/**
 * Asks the discoveries in the background who is there, so that the table is full before anybody looks into it.
 *
 * Each is asked at once, then ever less often while it names nobody new, because it may be somebody else's server. One that
 * hears of peers by itself tells without being asked.
 */
import { isCancelled, moveOnAfter, type Nursery, sleep, abortable } from "../nursery/index.ts";
import type { Discovery, PeerHint } from "../peer/discovery.ts";
import type { PeerTable } from "../peer/table.ts";
import type { Logger } from "../logger.ts";
import { believed } from "./hearsay.ts";
import { parseMultiaddr, peerIdIn } from "./address.ts";

/** The first pause; it doubles each time that nobody new was named, and starts again when somebody was. */
const FIRST_PAUSE_MS = 1000;
/** A node that came meanwhile has looked for itself, so this is only for those that could not. */
const MAX_PAUSE_MS = 300_000;
/** How long one answer may take. */
const FIND_MS = 15_000;
/** Pauses are drawn this much around their length, so that many nodes do not ask a server at once. */
const JITTER = 0.25;
/** Nobody gets to fill the table with one answer. */
const MAX_HINTS = 1000;

/** What looking out needs. */
export interface LookoutOptions {
  readonly discoveries: readonly Discovery[];
  readonly table: PeerTable;
  readonly logger: Logger;
  readonly nursery: Nursery;
  readonly ownPeerId: string;
  /** Numbers from 0 to below 1. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** Starts looking out; it ends with the nursery. */
export function startLookout(options: LookoutOptions): void {
  for (const discovery of options.discoveries)
    options.nursery.startSoon(() => keepAsking(discovery, options), `look out by ${discovery.name}`);
}

async function keepAsking(discovery: Discovery, options: LookoutOptions): Promise<never> {
  const { random = Math.random } = options;
  const unsubscribe = discovery.watch?.((hint) => void note([hint], discovery, options));
  let pauseMs = FIRST_PAUSE_MS;
  let failures = 0;
  try {
    for (;;) {
      const isNew = await ask(discovery, options, failures === 0);
      failures = isNew === undefined ? failures + 1 : 0;
      pauseMs = isNew === true ? FIRST_PAUSE_MS : Math.min(pauseMs * 2, MAX_PAUSE_MS);
      await sleep(pauseMs * (1 - JITTER + 2 * JITTER * random()));
    }
  } finally {
    unsubscribe?.();
  }
}

/** @returns whether it named somebody new; undefined if it failed */
async function ask(
  discovery: Discovery,
  options: LookoutOptions,
  isFirstFailure: boolean,
): Promise<boolean | undefined> {
  try {
    const outcome = await moveOnAfter(FIND_MS, () =>
      abortable((signal) => discovery.find(undefined, signal)),
    );
    return note(outcome.value ?? [], discovery, options);
  } catch (error) {
    if (isCancelled(error)) throw error;
    // Said once: what is down is asked for hours.
    if (isFirstFailure) options.logger.warn({ discovery: discovery.name, err: error }, "a discovery failed");
    return undefined;
  }
}

/** Puts hints into the table. @returns whether one was about a peer that was not known */
function note(
  hints: readonly PeerHint[],
  { trust }: Discovery,
  { table, ownPeerId, logger }: LookoutOptions,
): boolean {
  let isNew = false;
  for (const { peerId, multiaddrs: named, method } of hints.slice(0, MAX_HINTS)) {
    const multiaddrs = believed(named, trust);
    const id = peerId ?? idIn(multiaddrs[0], logger);
    if (id === undefined || id === ownPeerId) continue;
    const known = table.get(id);
    if (known?.methods.includes(method) === true && multiaddrs.every((one) => known.multiaddrs.includes(one)))
      continue;
    isNew ||= known === undefined;
    table.heard(id, { multiaddrs, method, seen: false });
  }
  return isNew;
}

function idIn(multiaddr: string | undefined, logger: Logger): string | undefined {
  try {
    return multiaddr === undefined ? undefined : peerIdIn(parseMultiaddr(multiaddr));
  } catch (error) {
    logger.debug({ err: error }, "a discovery gave an address that is none");
    return undefined;
  }
}
