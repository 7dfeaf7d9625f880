/**
 * Nodes find each other through the comments of a GitHub issue.
 *
 * What is read is a hint and nothing more. Reading happens when somebody looks for a peer, at most once in a while,
 * and what was read last is the answer in between and while GitHub cannot be asked. Writing happens when the addresses
 * change and before the record expires.
 */
import type { PublicKey } from "@libp2p/interface";
import { publicKeyToProtobuf } from "@libp2p/crypto/keys";
import type { Clock } from "../../clock.ts";
import { ConfigError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { Limiter, type Nursery, rethrowIfCancelled, shield, sleep } from "../../nursery/index.ts";
import { isPublicAddress } from "../../p2p/index.ts";
import type { Discovery, PeerHint, SelfDescription } from "../../peer/discovery.ts";
import { GithubApi } from "./api.ts";
import { Changes } from "./changes.ts";
import { credentialsOf } from "./credentials.ts";
import { isTrusted } from "./entry.ts";
import { registryFindings, type RegistryState } from "./examine.ts";
import { Gate } from "./gate.ts";
import { RegistryIssue } from "./issue.ts";
import {
  ANONYMOUS_REFRESH_MS,
  BACKOFF_FIRST_MS,
  MAX_ADDRESS_CHARS,
  MAX_RECORD_ADDRESSES,
  MIN_EDIT_GAP_MS,
  RENEW_AFTER,
  RENEW_JITTER,
  SETTLE_MS,
  WITHDRAW_MS,
} from "./limits.ts";
import { isAddressOf, signRecord } from "./record.ts";
import { isLive } from "./registry-record.ts";
import { Registry } from "./registry.ts";
import type { GithubIssuesConfig } from "./settings.ts";

/** What the discovery lives in. */
export interface GithubIssuesContext {
  readonly peerId: string;
  /** Needed if it is not inside the peer id. */
  readonly publicKey?: PublicKey | undefined;
  readonly nursery: Nursery;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Numbers from 0 to below 1, for jitter. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** Stable name of this discovery. */
export const GITHUB_ISSUES = "github-issues";

/** The discovery that `config` describes. Asks nobody anything yet. */
export function githubIssuesDiscovery(config: GithubIssuesConfig, context: GithubIssuesContext): Discovery {
  const discovery = new GithubIssues(config, context);
  const find = (peerId: string | undefined, signal: AbortSignal): Promise<readonly PeerHint[]> =>
    context.nursery.run(() => discovery.find(peerId), { signal }, "look into the registry on GitHub");
  const trust = config.localAddresses ? undefined : ("public" as const);
  const reading = {
    name: GITHUB_ISSUES,
    trust,
    find,
    examine: async () => registryFindings(discovery.state),
  };
  return config.publish ? { ...reading, advertise: (self) => discovery.advertise(self) } : reading;
}

class GithubIssues {
  readonly #config: GithubIssuesConfig;
  readonly #context: GithubIssuesContext;
  readonly #random: () => number;
  readonly #gate: Gate;
  readonly #api: GithubApi;
  readonly #issue: RegistryIssue;
  readonly #registry: Registry;
  /** One at a time: a second reader finds what the first has read. */
  readonly #turns = new Limiter(1);
  readonly #changes = new Changes();
  #readAgainAt = -Infinity;
  #readFailure: unknown;
  #writeFailure: unknown;
  #hasAddress = true;
  #published: { readonly text: string; readonly editedAt: number; readonly dueAt: number } | undefined;

  constructor(config: GithubIssuesConfig, context: GithubIssuesContext) {
    const { api: baseUrl, repository, title } = config;
    const { clock, logger, peerId, random = Math.random } = context;
    this.#config = config;
    this.#context = context;
    this.#random = random;
    this.#gate = new Gate(clock, random);
    const credentials = credentialsOf(config.token, baseUrl);
    this.#api = new GithubApi({ api: baseUrl, credentials, gate: this.#gate, clock, logger });
    const common = { api: this.#api, baseUrl, repository, title, logger };
    this.#issue = new RegistryIssue({ ...common, clock, random });
    this.#registry = new Registry({ ...common, issue: this.#issue, peerId });
  }

  /** How it stands. */
  get state(): RegistryState {
    const { repository, title, publish } = this.#config;
    const dueAt = this.#published?.dueAt;
    return {
      repository,
      title,
      publish,
      waitMs: this.#gate.waitMs,
      issue: this.#issue.known,
      records: this.#hints().length,
      readFailure: this.#readFailure,
      writeFailure: this.#writeFailure,
      renewInMs: dueAt === undefined ? undefined : Math.max(0, dueAt - this.#context.clock.now()),
      hasAddress: this.#hasAddress,
    };
  }

  async find(peerId: string | undefined): Promise<readonly PeerHint[]> {
    await this.#turns.run(() => this.#refresh());
    return this.#hints().filter((hint) => peerId === undefined || hint.peerId === peerId);
  }

  async advertise(self: SelfDescription): Promise<void> {
    const off = self.onChange(() => this.#changes.notify());
    try {
      await this.#keepPublished(self);
    } finally {
      off();
      await this.#withdraw();
    }
  }

  async #refresh(): Promise<void> {
    const { clock, logger } = this.#context;
    if (clock.now() < this.#readAgainAt || this.#gate.waitMs > 0) return;
    try {
      await this.#registry.read();
      this.#readFailure = undefined;
      const leastMs = (await this.#api.isAuthenticated()) ? 0 : ANONYMOUS_REFRESH_MS;
      this.#readAgainAt = clock.now() + Math.max(this.#config.refreshMs, leastMs);
      if (this.#registry.isElsewhere) this.#changes.notify();
    } catch (error) {
      // Not for a caller that gave up: the next in line reads for itself.
      rethrowIfCancelled(error);
      this.#readFailure = error;
      this.#readAgainAt = clock.now() + this.#config.refreshMs;
      if (this.#hints().length === 0) throw error;
      logger.warn({ err: error }, "the registry on GitHub was not read; what was read before still counts");
    }
  }

  /** What was read and still counts, one hint a peer, the newest first. */
  #hints(): readonly PeerHint[] {
    const now = this.#api.serverNow();
    const records = this.#registry.entries
      .filter((entry) => isTrusted(entry, this.#config, this.#registry.login) && isLive(entry.record, now))
      .map(({ record }) => record)
      .filter((record) => record.peerId !== this.#context.peerId)
      // What a peer has signed itself counts more than what somebody says of it.
      .toSorted((a, b) => Number(b.signed) - Number(a.signed) || b.issuedAtMs - a.issuedAtMs);
    const hints = new Map<string, PeerHint>();
    for (const { peerId, multiaddrs } of records) {
      const usable = multiaddrs.filter((text) => isAddressOf(peerId, text));
      if (usable.length > 0 && !hints.has(peerId))
        hints.set(peerId, { peerId, multiaddrs: usable, method: GITHUB_ISSUES });
    }
    return [...hints.values()];
  }

  async #keepPublished(self: SelfDescription): Promise<never> {
    for (;;) {
      // Addresses change several times while a node finds out how it is reached.
      await sleep(SETTLE_MS);
      const pauseMs = await this.#attempt(self);
      await this.#changes.next(pauseMs);
    }
  }

  /** Publishes if there is a reason to. @returns after how many milliseconds to look again */
  async #attempt(self: SelfDescription): Promise<number> {
    const { clock, logger } = this.#context;
    const addresses = this.#publishable(self);
    this.#hasAddress = addresses.length > 0;
    if (!this.#hasAddress) {
      logger.info({}, "this node has no address to publish in the registry on GitHub");
      await this.#withdraw();
      return Infinity;
    }
    try {
      const text = addresses.join("\n");
      const isDue = this.#published === undefined || this.#published.dueAt <= clock.now();
      if (isDue || this.#mayEditFor(text) || (await this.#hasMoved())) await this.#publish(self, addresses);
      this.#writeFailure = undefined;
      return this.#pauseMs(text);
    } catch (error) {
      rethrowIfCancelled(error);
      this.#writeFailure = error;
      if (error instanceof ConfigError) throw error;
      logger.warn({ err: error }, "this node was not published in the registry on GitHub; trying again");
      return Math.max(this.#gate.waitMs, BACKOFF_FIRST_MS);
    }
  }

  #publishable(self: SelfDescription): readonly string[] {
    const { localAddresses } = this.#config;
    return self
      .multiaddrs()
      .filter((text) => text.length <= MAX_ADDRESS_CHARS && isAddressOf(self.peerId, text))
      .filter((text) => localAddresses || isPublicAddress(text))
      .slice(0, MAX_RECORD_ADDRESSES);
  }

  /** Whether the addresses are others than the published ones, and the last edit is long enough ago. */
  #mayEditFor(text: string): boolean {
    return this.#published?.text !== text && this.#gapMs() === 0;
  }

  #gapMs(): number {
    const editedAt = this.#published?.editedAt ?? -Infinity;
    return Math.max(0, editedAt + MIN_EDIT_GAP_MS - this.#context.clock.now());
  }

  /** Whether another issue counts now than the one that holds our comment. */
  async #hasMoved(): Promise<boolean> {
    if (!this.#issue.isSettled && this.#issue.checkInMs === 0)
      await this.#turns.run(() => this.#issue.find());
    return this.#registry.isElsewhere;
  }

  async #publish(self: SelfDescription, addresses: readonly string[]): Promise<void> {
    const { ttlMs, repository, title, cleanup } = this.#config;
    const { clock, logger, publicKey } = this.#context;
    if (!(await this.#api.isAuthenticated())) throw noToken(repository);
    await this.#turns.run(async () => {
      const issuedAtMs = this.#api.serverNow();
      const times = { issuedAtMs, expiresAtMs: issuedAtMs + ttlMs };
      const facts = { namespace: title, peerId: self.peerId, multiaddrs: addresses, ...times };
      const key = publicKey && isHashed(self.peerId) ? publicKeyToProtobuf(publicKey) : undefined;
      await this.#registry.publish(await signRecord(facts, (bytes) => self.sign(bytes), key));
      const renewMs = ttlMs * RENEW_AFTER * (1 - RENEW_JITTER * this.#random());
      const editedAt = clock.now();
      this.#published = { text: addresses.join("\n"), editedAt, dueAt: editedAt + renewMs };
      const count = cleanup ? await this.#registry.cleanUp() : 0;
      logger.debug({ repository, addresses, cleaned: count }, "published in the registry on GitHub");
    });
  }

  #pauseMs(text: string): number {
    const dueInMs = (this.#published?.dueAt ?? Infinity) - this.#context.clock.now();
    const checkInMs = this.#issue.isSettled ? Infinity : this.#issue.checkInMs;
    const gapMs = this.#published?.text === text ? Infinity : this.#gapMs();
    return Math.max(0, Math.min(dueInMs, checkInMs, gapMs));
  }

  async #withdraw(): Promise<void> {
    this.#published = undefined;
    if (this.#gate.waitMs > 0 || this.#registry.publishedIn === undefined) return;
    try {
      await shield(WITHDRAW_MS, () => this.#registry.withdraw());
    } catch (error) {
      this.#context.logger.debug({ err: error }, "the record on GitHub stays until it expires");
    }
  }
}

/** Ids of Ed25519 and secp256k1 keys hold the key itself; of others only its hash, which begins like this. */
function isHashed(peerId: string): boolean {
  return peerId.startsWith("Qm");
}

function noToken(repository: string): ConfigError {
  return new ConfigError("the registry on GitHub Issues", repository, "cannot be written without a token", {
    hint: "give the node a token that may write issues, or switch publishing off with --no-github-publish",
  });
}
