/** Process signals: the first one asks for the end, the second one is Node's own and kills. */
import { constants } from "node:os";
import { suspend } from "./suspend.ts";

/** Shells report a process that a signal ended as this plus the signal's number. */
const SIGNAL_EXIT_BASE = 128;

/** Waits for one of the given process signals; the handlers are in place only while somebody waits. */
export function waitForSignal(...names: NodeJS.Signals[]): Promise<NodeJS.Signals> {
  return suspend<NodeJS.Signals>((resume, fail) => {
    const off = onceSignalled(names, resume);
    return (reason) => {
      off();
      fail(reason);
    };
  });
}

/** How often the timer fires that only keeps the process alive, in milliseconds: as seldom as timers can. */
const IDLE_MS = 0x7fffffff;

/**
 * Calls `then` at the first of the signals, and leaves the next to Node; the returned function calls it off.
 *
 * Keeps the process alive meanwhile: Node does not count a signal handler as something to wait for.
 */
export function onceSignalled(
  names: readonly NodeJS.Signals[],
  then: (name: NodeJS.Signals) => void,
): () => void {
  const alive = names.length > 0 ? setInterval(() => undefined, IDLE_MS) : undefined;
  const off = (): void => {
    clearInterval(alive);
    for (const name of names) process.off(name, handler);
  };
  const handler = (name: NodeJS.Signals): void => {
    off();
    then(name);
  };
  for (const name of names) process.on(name, handler);
  return off;
}

/** The exit code of a process that ended because of the signal: 130 for SIGINT, 143 for SIGTERM. */
export function exitCodeOf(name: NodeJS.Signals): number {
  return SIGNAL_EXIT_BASE + constants.signals[name];
}
