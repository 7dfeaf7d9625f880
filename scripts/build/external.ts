/**
 * Types of bundled packages that show in the declarations of this one: as much of them as concerns a caller.
 *
 * The MCP types fit those of `@modelcontextprotocol/client` in both directions.
 */

/** A schema: only inside this package, which parses with zod. */
export interface ZodType<T = unknown> {
  parse(value: unknown): T;
}

/** A value that JSON can carry, by its key. */
export interface Fields {
  [key: string]: unknown;
}

/** A JSON-RPC message as MCP uses it. */
export type JSONRPCMessage =
  | { jsonrpc: "2.0"; id: string | number; method: string; params?: Fields | undefined }
  | { jsonrpc: "2.0"; method: string; params?: Fields | undefined }
  | { jsonrpc: "2.0"; id: string | number; result: Fields }
  | {
      jsonrpc: "2.0";
      id?: string | number | undefined;
      error: { code: number; message: string; data?: unknown };
    };

/** Carries the messages of one MCP connection; a transport of the MCP SDK. */
export interface Transport {
  start(): Promise<void>;
  send(message: JSONRPCMessage, options?: object): Promise<void>;
  close(): Promise<void>;
  readonly hasPerRequestStream?: boolean;
  onclose?: (() => void) | undefined;
  onerror?: ((error: Error) => void) | undefined;
  onmessage?: ((message: JSONRPCMessage, extra?: object) => void) | undefined;
  sessionId?: string | undefined;
  setProtocolVersion?: ((version: string) => void) | undefined;
  setSupportedProtocolVersions?: ((versions: string[]) => void) | undefined;
}

/** What a server says it is. */
export interface Implementation {
  name: string;
  version: string;
  title?: string | undefined;
  description?: string | undefined;
  websiteUrl?: string | undefined;
}

/** A JSON Schema of an object. */
export interface ObjectSchema extends Fields {
  type: "object";
}

/** A tool as a server lists it. */
export interface Tool {
  name: string;
  title?: string | undefined;
  description?: string | undefined;
  inputSchema: ObjectSchema;
  outputSchema?: Fields | undefined;
  annotations?:
    | {
        title?: string | undefined;
        readOnlyHint?: boolean | undefined;
        destructiveHint?: boolean | undefined;
        idempotentHint?: boolean | undefined;
        openWorldHint?: boolean | undefined;
      }
    | undefined;
  _meta?: Fields | undefined;
}

/** A part of what a tool answers: text, an image, a sound, a resource or a link to one. */
export type ContentBlock =
  | { type: "text"; text: string; _meta?: Fields | undefined }
  | { type: "image" | "audio"; data: string; mimeType: string; _meta?: Fields | undefined }
  | { type: "resource_link"; name: string; uri: string; mimeType?: string | undefined }
  | {
      type: "resource";
      resource: { uri: string; mimeType?: string | undefined } & ({ text: string } | { blob: string });
    };

/** What a tool answers. */
export interface CallToolResult {
  content: ContentBlock[];
  structuredContent?: unknown;
  isError?: boolean | undefined;
  _meta?: Fields | undefined;
}
