/** One of several processes that are a node together. */
import type { Socket } from "node:net";
import { join } from "node:path";
import type { NodeConfig } from "../../config.ts";
import type { HandedConnections } from "../../transport/http/handed.ts";
import type { SessionRecord } from "../../transport/http/sessions.ts";

/** Which of them a process is, and how it reaches the others. */
export interface ProcessShare {
  /** From 0. That one has the peers and the mounted servers. */
  readonly slot: number;
  readonly count: number;
  /** Folder of the processes' sockets, which only this user can open. */
  readonly sockets: string;
  /** How URLs of the node begin, such as `http://127.0.0.1:8000`. */
  readonly origin: string;
  /** Sessions of the process whose place this one takes. */
  readonly sessions: readonly SessionRecord[];
  /** Gives every connection that the parent accepts for this process to `take`. */
  deliver(take: (connection: Socket) => void): void;
}

/** The process that has what there can be only one of. */
export const FIRST = 0;

/** Ids of sessions begin with the process's place and a dot. */
const SESSION_SLOT = /^(\d{1,3})\./;

/** The socket of the process at `slot`, in the folder `sockets`. */
export function socketPath(sockets: string, slot: number): string {
  return join(sockets, `${slot}.sock`);
}

/** Whether this process has the node's peers and mounted servers. */
export function isFirst(share: ProcessShare | undefined): boolean {
  return share === undefined || share.slot === FIRST;
}

/** How HTTP gets its connections in a process of several; undefined if there is only one. */
export function handedTo(share: ProcessShare | undefined): HandedConnections | undefined {
  if (share === undefined) return undefined;
  const { slot, count, sockets, origin, sessions } = share;
  return {
    origin,
    socketPath: socketPath(sockets, slot),
    sessionPrefix: `${slot}.`,
    sessions,
    socketOf(sessionId) {
      const owner = Number(SESSION_SLOT.exec(sessionId)?.[1] ?? slot);
      return owner === slot || owner >= count ? undefined : socketPath(sockets, owner);
    },
    deliver: (take) => share.deliver(take),
  };
}

/** How many of the node's tasks this process works on at once: the first ones take what is left over. */
export function slotsOf({ workers }: NodeConfig, share: ProcessShare | undefined): number {
  if (share === undefined) return workers;
  const { slot, count } = share;
  return Math.floor(workers / count) + (slot < workers % count ? 1 : 0);
}
