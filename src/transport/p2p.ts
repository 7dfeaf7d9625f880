/** MCP over one stream to a peer. */
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/client";
import * as z from "zod";
import type { MessageChannel } from "../p2p/index.ts";

/** Only the outline: the SDK looks closely at what it is given, and once is enough. */
const outline = z.custom<JSONRPCMessage>(
  (message) =>
    typeof message === "object" && message !== null && "jsonrpc" in message && message.jsonrpc === "2.0",
);

/** Microtasks between a notification and what follows it; the SDK 2.4 needs one. */
const NOTIFICATION_HEAD_START = 3;

/** Adapts a channel to the SDK's transport, for a client or a server. */
export function p2pTransport(channel: MessageChannel): Transport {
  const arrived: JSONRPCMessage[] = [];
  let delivering = false;

  // The SDK acts on a notification one microtask later than on a response. Two that came together would change
  // places: the progress of a request would come after its end and be lost. So a notification gets a head start.
  const deliver = async (): Promise<void> => {
    if (delivering) return;
    delivering = true;
    for (let message = arrived.shift(); message; message = arrived.shift()) {
      try {
        transport.onmessage?.(message);
      } catch (error) {
        transport.onerror?.(error instanceof Error ? error : new Error(String(error)));
      }
      if (!("id" in message))
        for (let turn = 0; turn < NOTIFICATION_HEAD_START; turn++) await Promise.resolve();
    }
    delivering = false;
  };

  const transport: Transport = {
    async start() {
      channel.onError = (error) => transport.onerror?.(error);
      channel.onClose = () => transport.onclose?.();
      channel.onMessage = (message) => {
        const parsed = outline.safeParse(message);
        if (!parsed.success) {
          transport.onerror?.(
            new Error('a message without "jsonrpc":"2.0" was left out', { cause: parsed.error }),
          );
          return;
        }
        arrived.push(parsed.data);
        void deliver();
      };
    },
    send: (message) => channel.send(message),
    close: () => channel.close(),
  };
  return transport;
}
