/**
 * Tells other nodes that something was committed, and hears it from them, by LISTEN and NOTIFY.
 *
 * A notification says only: look. It is sent on a connection of its own after the commit, never within it: a transaction
 * with a notification holds a lock of the whole server while it commits, so that no two of them share a disk write.
 * What is lost on the way, or with the process, costs a wait until the next look.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as pauseFor } from "node:timers/promises";
import type { Client } from "pg";
import { errorFacts } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { MAX_GOODBYE_MS } from "./database.ts";
import type { Driver } from "./driver.ts";
import { storeError } from "./failure.ts";

const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 5000;
/** Others need not know at once of what does not change what they wait for. */
const LATER_MS = 500;

/** The connection that rings and listens. */
export class Bell {
  readonly #driver: Driver;
  readonly #logger: Logger;
  readonly #channel: string;
  /** Tells our own notifications from those of others. */
  readonly #name: string = randomUUID();
  readonly #listeners = new Set<() => void>();
  readonly #closing = new AbortController();
  #client: Client | undefined;
  #ringing = false;
  #ringAgain = false;
  #rungAt = Number.NEGATIVE_INFINITY;
  #later: NodeJS.Timeout | undefined;
  #reconnecting: Promise<void> | undefined;

  constructor(driver: Driver, logger: Logger) {
    this.#driver = driver;
    this.#logger = logger;
    this.#channel = `mcpp_${driver.address.schema}`;
  }

  /** Begins to listen. */
  async open(): Promise<void> {
    this.#watch(await this.#connect());
  }

  /** Calls `listener` soon after others have changed something, or may have. @returns ends that */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells others. Rings that come while one is on its way become one. */
  ring(): void {
    clearTimeout(this.#later);
    this.#later = undefined;
    this.#rungAt = performance.now();
    if (this.#ringing) this.#ringAgain = true;
    else void this.#ring();
  }

  /**
   * Tells others within half a second, and at once if they were not told of anything for as long: of a lease that nobody
   * has heard of, nobody would see the end if this process ended now.
   */
  ringLater(): void {
    if (performance.now() - this.#rungAt >= LATER_MS) this.ring();
    else this.#later ??= setTimeout(() => this.ring(), LATER_MS).unref();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#later);
    this.#listeners.clear();
    await this.#reconnecting;
    const client = this.#client;
    this.#client = undefined;
    const ended = client?.end().catch(() => undefined);
    await Promise.race([ended, pauseFor(MAX_GOODBYE_MS, undefined, { ref: false })]);
  }

  async #ring(): Promise<void> {
    this.#ringing = true;
    do {
      this.#ringAgain = false;
      try {
        await this.#client?.query({
          name: "ring",
          text: "SELECT pg_notify($1, $2)",
          values: [this.#channel, this.#name],
        });
      } catch (error) {
        // What was committed stays committed; the others see it at their next look.
        this.#logger.debug(errorFacts(error), "other nodes could not be told of a commit");
      }
    } while (this.#ringAgain && this.#client);
    this.#ringing = false;
  }

  #watch(client: Client): void {
    this.#client = client;
    client.on("notification", ({ payload }) => {
      if (payload !== this.#name) this.#tell();
    });
    client.on("end", () => {
      if (this.#client !== client || this.#closing.signal.aborted) return;
      this.#client = undefined;
      this.#reconnecting = this.#reconnect();
    });
  }

  async #connect(): Promise<Client> {
    const client = this.#driver.client();
    // An error is followed by the end, or by the failure of what was asked.
    client.on("error", (error) => this.#logger.debug(errorFacts(error), "the listening connection failed"));
    try {
      await client.connect();
      await client.query(`LISTEN ${this.#channel}`);
      return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  async #reconnect(): Promise<void> {
    for (let failures = 0; !this.#closing.signal.aborted; failures++) {
      try {
        this.#watch(await this.#connect());
        // Whatever was told meanwhile was missed.
        this.#tell();
        return;
      } catch (error) {
        if (failures === 0) {
          const facts = errorFacts(storeError(error, this.#driver.address.shown));
          this.#logger.warn(facts, "changes of other nodes cannot be heard; trying again");
        }
      }
      const longest = Math.min(FIRST_PAUSE_MS * 2 ** failures, MAX_PAUSE_MS);
      const { signal } = this.#closing;
      await pauseFor(longest * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
    }
  }
}
