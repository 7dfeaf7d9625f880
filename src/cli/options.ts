/** Options and arguments that several commands share. */

import { duration, onOff, text } from "../config/kind.ts";
import { InvalidInputError } from "../errors.ts";
import type { Invocation, Option } from "./command.ts";

/** A day: what takes longer is not waited for but looked at later. */
const MAX_TIMEOUT_MS = 86_400_000;

/** How long a command waits for a task that it was told to wait for. */
export const WAIT_TIMEOUT_MS = 300_000;

/** Where the queue is, if it is not the node's own. */
export const PEER: Option<string> = {
  flag: "peer",
  kind: text("peer-id|multiaddr", "a peer id or a multiaddr", /^\S+$/),
  summary: "Another node whose queue is meant; the node that the command talks to passes it on.",
};

/** How long to wait. */
export const TIMEOUT: Option<number> = {
  flag: "timeout",
  kind: duration(0, MAX_TIMEOUT_MS),
  summary: "How long to wait, e.g. 30s or 5m.",
};

/** Whether to show what a task does while it does it. */
export const FOLLOW: Option<boolean> = {
  flag: "follow",
  kind: onOff(),
  summary:
    "Print what the task writes while it writes it, each line once: its standard output on standard output, the rest and its progress on standard error.",
};

/** The first positional argument, which commander has made sure of. */
export function firstArgument({ args }: Invocation): string {
  const [first] = args;
  if (first === undefined) throw new InvalidInputError("an argument is missing");
  return first;
}
