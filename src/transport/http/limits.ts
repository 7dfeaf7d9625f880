/** All limits of MCP over HTTP, with the reason for each. */
import { type Limit, MIB, MINUTE, SECOND } from "../../p2p/limits/limit.ts";

type Name =
  | "maxBodyBytes"
  | "headersMs"
  | "requestMs"
  | "keepAliveMs"
  | "handedKeepAliveMs"
  | "checkMs"
  | "maxHeaderBytes"
  | "maxHeaders"
  | "maxConnections";

/** The limits by name. */
export const HTTP_LIMITS: { readonly [N in Name]: Limit } = {
  maxBodyBytes: {
    value: 16 * MIB,
    unit: "bytes",
    what: "Largest request body.",
    why: "A task's payload and its envelope fit; the same as a message between peers.",
  },
  headersMs: {
    value: 10 * SECOND,
    unit: "ms",
    what: "How long a client may take to send the headers of a request.",
    why: "They are one packet; a byte a second must not hold a connection.",
  },
  requestMs: {
    value: MINUTE,
    unit: "ms",
    what: "How long a client may take to send a whole request.",
    why: "The largest body in this time is a slow line, not a stalled one.",
  },
  keepAliveMs: {
    value: 30 * SECOND,
    unit: "ms",
    what: "How long a connection stays open between two requests.",
    why: "Clients that ask now and again keep theirs; those that forgot theirs cost nothing for long.",
  },
  handedKeepAliveMs: {
    value: 5 * SECOND,
    unit: "ms",
    what: "The same with several processes.",
    why: "A process that is replaced waits this long for its connections, so that no request meets a closed one.",
  },
  checkMs: {
    value: 5 * SECOND,
    unit: "ms",
    what: "How often slow requests are looked for.",
    why: "Half of the shortest time that it watches over.",
  },
  maxHeaderBytes: {
    value: 16 * 1024,
    unit: "bytes",
    what: "Largest headers of a request.",
    why: "Node's own default; MCP needs one kilobyte.",
  },
  maxHeaders: {
    value: 100,
    unit: "count",
    what: "Headers of a request; more are ignored.",
    why: "Browsers send twenty.",
  },
  maxConnections: {
    value: 1024,
    unit: "count",
    what: "Connections at once; more are closed unheard.",
    why: "A host opens a few for each session, and there are 256 of those.",
  },
};
