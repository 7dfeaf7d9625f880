/**
 * Which of two writes of a key is the later one, the same for everybody who sees both.
 *
 * A version is a stamp and the store that gave it. The stamp is a hybrid logical clock in one number: milliseconds
 * since 1970 times {@link STAMPS_PER_MS}, and never less than what the store has given or seen before, plus one
 * (Kulkarni, Demirbas et al., "Logical Physical Clocks", 2014). So a write by a node that had seen another write is
 * later than it, whatever the clocks of the two nodes say. Of two writes that knew nothing of each other the one with
 * the larger stamp is later, which is wall time where clocks agree; equal stamps go by the name of the store.
 */

/** Who wrote an entry, and when, as far as order matters. */
export interface Version {
  /** A whole number, exact in a double until the year 2109. */
  readonly stamp: number;
  /** The store that the write came to first: {@link CacheStore.origin}. */
  readonly origin: string;
}

/** How many stamps a millisecond has: 2^11, so that the milliseconds of the next decades and these fill 53 bits. */
export const STAMPS_PER_MS = 2048;

/**
 * How far ahead of this node's clock a stamp may be, in milliseconds. What lies further ahead is a broken clock or
 * malice: taken over, it would keep everybody else from ever writing the key again.
 */
export const MAX_DRIFT_MS: number = 24 * 3600 * 1000;

/**
 * How long a tombstone is kept, in milliseconds: a week, so that a peer that was away over a weekend learns of the
 * delete. Older writes of unknown keys are refused once it is gone, so that what was deleted does not come back.
 */
export const TOMBSTONE_LIFE_MS: number = 7 * 24 * 3600 * 1000;

/** The first stamp of an instant. */
export function stampOf(epochMs: number): number {
  return Math.max(0, Math.floor(epochMs)) * STAMPS_PER_MS;
}

/** The instant of a stamp, in milliseconds since 1970. */
export function instantOf(stamp: number): number {
  return Math.floor(stamp / STAMPS_PER_MS);
}

/** Whether `a` is a later write than `b`. */
export function isLater(a: Version, b: Version): boolean {
  return a.stamp === b.stamp ? a.origin > b.origin : a.stamp > b.stamp;
}

/** Whether a stamp is one that an honest clock can have given by now. */
export function isCredible(stamp: number, nowMs: number): boolean {
  return stamp <= stampOf(nowMs + MAX_DRIFT_MS);
}

/**
 * The stamp of a new write.
 *
 * @param clock - the highest stamp given or seen. One that is no longer credible stems from a time when this node's
 *   own clock was wrong, and is left behind
 * @param last - the stamp of the key's last write; 0 if none is known
 */
export function nextStamp(nowMs: number, clock: number, last: number): number {
  const seen = isCredible(clock, nowMs) ? clock : 0;
  return Math.max(stampOf(nowMs), seen + 1, last + 1);
}

/**
 * Whether a write of an unknown key may be one that was deleted since.
 *
 * @param floor - the highest stamp among forgotten tombstones; one that is not credible counts as now
 */
export function isBuried(stamp: number, floor: number, nowMs: number): boolean {
  return stamp <= (isCredible(floor, nowMs) ? floor : stampOf(nowMs));
}
