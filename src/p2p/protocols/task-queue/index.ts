/** The task queue's old protocol: newline-terminated JSON, one request a stream. */
import type { StreamProtocol } from "../protocol.ts";
import { TASK_QUEUE_PROTOCOL } from "../../message.ts";
import { type OldWire, OldStream } from "./stream.ts";

/** Serves old peers, if the host was given a node to show them. */
export const taskQueueProtocol: StreamProtocol = {
  id: TASK_QUEUE_PROTOCOL,
  open(context) {
    const { oldWire: node, peerId, sharedToken, logger } = context;
    if (!node) return undefined;
    const shared: OldWire = { context, answer: { node, peerId, sharedToken, logger }, strangerBytes: 0 };
    return (stream, session, onGone) => new OldStream(stream, session, shared, onGone);
  },
};
