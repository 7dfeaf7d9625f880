/** How many requests there may be, and how long they may take. */
import { type Limit, MINUTE, SECOND } from "./limit.ts";

type Name =
  | "maxInFlight"
  | "maxWaiting"
  | "maxServing"
  | "strangerServing"
  | "maxCallMs"
  | "connectMs"
  | "silentMs"
  | "probeMs"
  | "challengeMs"
  | "maxProofs";

/** The limits by name. */
export const REQUEST_LIMITS: { readonly [N in Name]: Limit } = {
  maxInFlight: {
    value: 1024,
    unit: "count",
    what: "Calls of ours that are unanswered at one peer; more of them wait their turn.",
    why: "Waiting claims and waits hold a place for minutes; a place costs half a kilobyte.",
  },
  maxWaiting: {
    value: 8192,
    unit: "count",
    what: "Calls of ours that wait for their turn at one peer; more of them are refused with E_BUSY.",
    why: "Beyond this nothing would be answered within its deadline anyway.",
  },
  maxServing: {
    value: 2048,
    unit: "count",
    what: "Requests of one peer that are being answered; more are refused with E_BUSY.",
    why: "More than one well-behaved link (maxInFlight) uses, so that such a link is never refused.",
  },
  strangerServing: {
    value: 4,
    unit: "count",
    what: "The same for a caller who may only ask for status.",
    why: "Status is answered at once; four are a look around.",
  },
  maxCallMs: {
    value: 6 * MINUTE,
    unit: "ms",
    what: "Longest time that a request may run here, whatever its caller wants.",
    why: "The longest wait that a tool offers is five minutes; one more for its answer.",
  },
  connectMs: {
    value: 10 * SECOND,
    unit: "ms",
    what: "How long finding, dialling, opening and proving may take together.",
    why: "Dead addresses are given up after three seconds each; three of them and one that answers.",
  },
  silentMs: {
    value: 6 * SECOND,
    unit: "ms",
    what: "How long a peer that owes an answer may be silent before it is asked whether it is there.",
    why: "A question of a hundred bytes each time; with probeMs, a dead connection is known after 14 s at most.",
  },
  probeMs: {
    value: 6 * SECOND,
    unit: "ms",
    what: "How long its sign of life may take; then its connection is taken for dead.",
    why: "A thousand round trips, or a node whose event loop is stuck.",
  },
  challengeMs: {
    value: 10 * SECOND,
    unit: "ms",
    what: "How long a challenge for the shared token can be answered.",
    why: "A round trip around the world takes half a second; what comes much later is a replay.",
  },
  maxProofs: {
    value: 3,
    unit: "count",
    what: "Wrong proofs of the shared token that one peer may give.",
    why: "One, and two more for a network that lost the answer.",
  },
};
