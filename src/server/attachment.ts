/** A transport with a view of its beginning and end, which the SDK's `serveStdio` keeps to itself. */
import type {
  JSONRPCMessage,
  MessageExtraInfo,
  Transport,
  TransportSendOptions,
} from "@modelcontextprotocol/server";

/** Passes everything on to another transport, and tells when it has started and when it has closed. */
export class Attachment implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: NonNullable<Transport["onmessage"]>;
  readonly #inner: Transport;
  readonly #started = Promise.withResolvers<void>();
  readonly #onEnd: () => void;

  /** @param onEnd - called once the transport has closed */
  constructor(inner: Transport, onEnd: () => void) {
    this.#inner = inner;
    this.#onEnd = onEnd;
  }

  /** Resolves when the transport has started. @throws what kept it from starting */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  async start(): Promise<void> {
    Object.assign(this.#inner, {
      onmessage: (message: JSONRPCMessage, extra?: MessageExtraInfo) => this.onmessage?.(message, extra),
      onerror: (error: Error) => this.onerror?.(error),
      onclose: () => {
        this.onclose?.();
        this.#onEnd();
      },
    });
    this.#started.resolve(this.#inner.start());
    await this.#started.promise;
  }

  get sessionId(): string | undefined {
    return this.#inner.sessionId;
  }

  setProtocolVersion(version: string): void {
    this.#inner.setProtocolVersion?.(version);
  }

  setSupportedProtocolVersions(versions: string[]): void {
    this.#inner.setSupportedProtocolVersions?.(versions);
  }

  send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    return this.#inner.send(message, options);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
