/**
 * What a rendezvous node keeps: who registered where, until when. In memory only; clients register again by themselves.
 *
 * Maps keep the order of insertion and a renewed registration is put back at the end, so each namespace is in the order
 * of its numbers: a page is found without sorting.
 */
import type { Clock } from "../../clock.ts";
import { MAX_PAGE_BYTES, PAGE_SIZE, type RendezvousLimits } from "./limits.ts";

/** One registration. */
export interface Registration {
  readonly namespace: string;
  readonly peerId: string;
  /** As it was sent. */
  readonly record: Uint8Array;
  readonly signed: boolean;
  /** Whether the peer is in no group with this node. */
  readonly stranger: boolean;
  /** Where it connected from. */
  readonly address: string;
  readonly expiresAtMs: number;
  /** Grows with every registration. */
  readonly number: number;
}

/** A part of the registrations of a namespace. */
export interface Page {
  readonly registrations: readonly Registration[];
  /** Where the next one begins. */
  readonly last: number;
}

type Draft = Omit<Registration, "number">;

/** The registrations of a rendezvous node. Expired ones make room before anything is refused. */
export class Registrations {
  readonly #clock: Clock;
  readonly #limits: RendezvousLimits;
  readonly #namespaces = new Map<string, Map<string, Registration>>();
  readonly #byPeer = new Counts();
  readonly #strangersByAddress = new Counts();
  readonly #strangersByNamespace = new Counts();
  #total = 0;
  #strangers = 0;
  #number = 0;

  constructor(clock: Clock, limits: RendezvousLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get size(): number {
    return this.#total;
  }

  /** Keeps a registration in place of the peer's former one. @returns false if there is no room for it */
  add(draft: Draft): boolean {
    const before = this.#namespaces.get(draft.namespace)?.get(draft.peerId);
    if (before) this.#remove(before);
    if (!this.#hasRoom(draft)) this.sweep();
    if (!this.#hasRoom(draft) && !this.#makeRoom(draft)) {
      // What is there is still true.
      if (before) this.#insert(before);
      return false;
    }
    this.#number += 1;
    this.#insert({ ...draft, number: this.#number });
    return true;
  }

  remove(namespace: string, peerId: string): void {
    const known = this.#namespaces.get(namespace)?.get(peerId);
    if (known) this.#remove(known);
  }

  /** Whether the peer has registered in the namespace with a signature; undefined if it has not registered. */
  signs(namespace: string, peerId: string): boolean | undefined {
    return this.#namespaces.get(namespace)?.get(peerId)?.signed;
  }

  /** The registrations with numbers above `after`, the oldest first, as many as fit on a page. */
  page(namespace: string, after: number, limit: number): Page {
    const now = this.#clock.now();
    const found: Registration[] = [];
    let bytes = 0;
    for (const one of this.#namespaces.get(namespace)?.values() ?? []) {
      if (one.number <= after || one.expiresAtMs <= now) continue;
      bytes += one.record.length;
      if (found.length >= Math.min(limit, PAGE_SIZE) || bytes > MAX_PAGE_BYTES) break;
      found.push(one);
    }
    return { registrations: found, last: found.at(-1)?.number ?? after };
  }

  /** Drops what has expired. */
  sweep(): void {
    const now = this.#clock.now();
    for (const peers of this.#namespaces.values())
      for (const one of peers.values()) if (one.expiresAtMs <= now) this.#remove(one);
  }

  #hasRoom({ namespace, peerId, stranger, address }: Draft): boolean {
    const limits = this.#limits;
    if (this.#total >= limits.maxTotal) return false;
    if ((this.#namespaces.get(namespace)?.size ?? 0) >= limits.maxPerNamespace) return false;
    if (!stranger) return this.#byPeer.of(peerId) < limits.maxPerPeer;
    return (
      this.#byPeer.of(peerId) < limits.strangerPerPeer &&
      this.#strangers < limits.strangersTotal &&
      this.#strangersByNamespace.of(namespace) < limits.strangersPerNamespace &&
      this.#strangersByAddress.of(address) < limits.strangersPerAddress
    );
  }

  /** For a member, the stranger of the namespace that would expire first has to go. */
  #makeRoom(draft: Draft): boolean {
    if (draft.stranger || this.#byPeer.of(draft.peerId) >= this.#limits.maxPerPeer) return false;
    let first: Registration | undefined;
    for (const one of this.#namespaces.get(draft.namespace)?.values() ?? [])
      if (one.stranger && (!first || one.expiresAtMs < first.expiresAtMs)) first = one;
    if (first) this.#remove(first);
    return this.#hasRoom(draft);
  }

  #insert(one: Registration): void {
    const peers = this.#namespaces.get(one.namespace) ?? new Map<string, Registration>();
    this.#namespaces.set(one.namespace, peers.set(one.peerId, one));
    this.#count(one, 1);
  }

  #remove(one: Registration): void {
    const peers = this.#namespaces.get(one.namespace);
    peers?.delete(one.peerId);
    if (peers?.size === 0) this.#namespaces.delete(one.namespace);
    this.#count(one, -1);
  }

  #count({ namespace, peerId, stranger, address }: Registration, by: 1 | -1): void {
    this.#total += by;
    this.#byPeer.add(peerId, by);
    if (!stranger) return;
    this.#strangers += by;
    this.#strangersByAddress.add(address, by);
    this.#strangersByNamespace.add(namespace, by);
  }
}

/** How many of each. */
class Counts {
  readonly #counts = new Map<string, number>();

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  add(name: string, by: number): void {
    const count = this.of(name) + by;
    if (count > 0) this.#counts.set(name, count);
    else this.#counts.delete(name);
  }
}
