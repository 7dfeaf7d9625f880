/**
 * Waits for what happens to single tasks.
 *
 * Whoever waits looks first, and again each time that they are told of a change: what to look at is their business. A
 * change that is told while somebody looks makes them look once more, so that none is missed.
 */
import type { Clock } from "../clock.ts";
import { ShuttingDownError } from "../errors.ts";
import { boundedWait, type WaitBounds } from "./bounded-wait.ts";

/** What a look showed, and whether it was what was waited for. */
export interface Seen<T> {
  readonly done: boolean;
  readonly value: T;
}

interface Listener {
  changed: boolean;
  ring: (() => void) | undefined;
}

/** All waits of one kind. */
export class Changes {
  readonly #clock: Clock;
  readonly #listeners = new Map<string, Set<Listener>>();
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether anybody waits. */
  get inUse(): boolean {
    return this.#listeners.size > 0;
  }

  /** The tasks that are waited for. */
  taskIds(): Iterable<string> {
    return this.#listeners.keys();
  }

  /**
   * Looks at a task until the look shows what is waited for, or the time is up.
   *
   * @returns what the last look showed
   * @throws what the look throws, ShuttingDownError after {@link close}, CancelledError if the signal aborts
   */
  async until<T>(
    taskId: string,
    { timeoutMs, signal }: Omit<WaitBounds, "clock">,
    look: () => Promise<Seen<T>>,
  ): Promise<T> {
    const untilMs = this.#clock.now() + timeoutMs;
    const listener = this.#listen(taskId);
    try {
      for (;;) {
        if (this.#closed) throw shuttingDown();
        listener.changed = false;
        const { done, value } = await look();
        const leftMs = untilMs - this.#clock.now();
        if (done || leftMs <= 0) return value;
        await boundedWait({ clock: this.#clock, timeoutMs: leftMs, signal }, (ring) => {
          if (listener.changed || this.#closed) ring();
          listener.ring = ring;
          return () => {
            listener.ring = undefined;
          };
        });
      }
    } finally {
      this.#forget(taskId, listener);
    }
  }

  /** Tells that something happened to a task. Call it after the store has it on disk. */
  changed(taskId: string): void {
    for (const listener of this.#listeners.get(taskId) ?? []) tell(listener);
  }

  /** Tells that something may have happened to any task. */
  allChanged(): void {
    for (const listeners of this.#listeners.values()) for (const listener of listeners) tell(listener);
  }

  /** Ends all waits with a {@link ShuttingDownError}. */
  close(): void {
    this.#closed = true;
    this.allChanged();
  }

  #listen(taskId: string): Listener {
    const listener: Listener = { changed: false, ring: undefined };
    const known = this.#listeners.get(taskId);
    if (known) known.add(listener);
    else this.#listeners.set(taskId, new Set([listener]));
    return listener;
  }

  #forget(taskId: string, listener: Listener): void {
    const listeners = this.#listeners.get(taskId);
    listeners?.delete(listener);
    if (listeners?.size === 0) this.#listeners.delete(taskId);
  }
}

function tell(listener: Listener): void {
  listener.changed = true;
  listener.ring?.();
}

function shuttingDown(): ShuttingDownError {
  return new ShuttingDownError("the queue is shutting down; the task lives on", {
    hint: "ask again by the task's id once the node is back",
  });
}
