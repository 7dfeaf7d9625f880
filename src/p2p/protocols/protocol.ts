/** What a host serves on its streams: one {@link StreamProtocol} for each protocol id, on the shelf in index.ts. */
import type { Stream } from "@libp2p/interface";
import type { ServeOptions } from "../serve.ts";
import type { Session } from "../session.ts";
import type { OldWireNode } from "./task-queue/operation.ts";

/** What protocols are served with. */
export interface ProtocolContext extends ServeOptions {
  readonly peerId: string;
  readonly sharedToken: string | undefined;
  /** The node as old peers see it; undefined if they are not served. */
  readonly oldWire: OldWireNode | undefined;
}

/** The writing side of a stream that is served. */
export interface ServedWire {
  readonly unsentBytes: number;
  readonly peakUnsentBytes: number;
  /** Sends what waits and ends the stream. */
  close(): Promise<void>;
  /** The same for a callback that cannot wait. */
  closeSoon(): void;
  /** Resets the stream at once. */
  abort(error: Error): void;
}

/** One stream that is being served. */
export interface ServedStream {
  readonly wire: ServedWire;
  /** How many requests of this stream are being answered. */
  readonly serving: number;
  isIdleAt(nowMs: number): boolean;
  /** Whether a message takes longer to arrive than it may. Absent: the stream sees to that itself. */
  isSlowAt?(nowMs: number): boolean;
}

/** Begins to serve a stream. `onGone` is called once, when it has ended. */
export type ServeStream = (
  stream: Stream,
  session: Session,
  onGone: (served: ServedStream) => void,
) => ServedStream;

/** A protocol that peers can open streams of. */
export interface StreamProtocol {
  /** As multistream-select negotiates it. */
  readonly id: string;
  /** What serves its streams at one host; undefined if that host does not speak it. */
  open(context: ProtocolContext): ServeStream | undefined;
}
