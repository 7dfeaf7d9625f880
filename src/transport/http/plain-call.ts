/**
 * Recognises the one kind of request that is answered past the SDK: a plain `tools/call` of the stateless era.
 *
 * It only ever says yes or "ask the SDK": whatever is wrong, unusual or new takes the slow path, which answers it. So
 * this file holds no error and no rule of its own; it must accept nothing that the slow path would answer otherwise.
 */
import type { IncomingHttpHeaders } from "node:http";
import {
  CLIENT_CAPABILITIES_META_KEY,
  CLIENT_INFO_META_KEY,
  PROTOCOL_VERSION_META_KEY,
  type RequestId,
} from "@modelcontextprotocol/server";
import { isJsonObject, type JsonObject } from "../../content/json.ts";
import type { CancelScope } from "../../nursery/index.ts";
import { asksForHeaders, type SchemaLookup } from "./headers.ts";

/** The revision whose plain calls are recognised. */
const REVISION = "2026-07-28";
/** `_meta` of the protocol itself: members with this prefix mean something, all others are the client's own matter. */
const RESERVED_PREFIX = "io.modelcontextprotocol/";
/** How many envelopes are remembered: each client program has one, or a few. */
const MAX_ENVELOPES = 64;
/** A longer envelope is not remembered, so that all together stay under a megabyte. */
const MAX_ENVELOPE_CHARS = 4096;

/** A call that asks for nothing but its result. */
export interface PlainCall {
  readonly id: RequestId;
  readonly name: string;
  readonly args: JsonObject;
  /** Who calls with which capabilities, as text; undefined if it cannot be remembered. */
  readonly envelope: string | undefined;
}

/** Calls a tool inside `scope` and answers the JSON text of its result, as the SDK's server would send it. */
export type PlainTool = (args: JsonObject, scope: CancelScope) => Promise<string>;

/** Looks up a tool whose plain calls need not go through the SDK; undefined if they must. */
export type PlainToolLookup = (name: string) => PlainTool | undefined;

/** Which plain calls can be answered past the SDK. */
export class PlainCalls {
  readonly #toolOf: PlainToolLookup;
  readonly #schemaOf: SchemaLookup;
  /** Envelopes that the SDK accepted. It alone knows what is valid in one, and clients repeat theirs at each call. */
  readonly #envelopes = new Set<string>();
  readonly #askForHeaders = new WeakMap<JsonObject, boolean>();

  constructor(toolOf: PlainToolLookup, schemaOf: SchemaLookup) {
    this.#toolOf = toolOf;
    this.#schemaOf = schemaOf;
  }

  /** The tool to answer `call` with; undefined if the call must go through the SDK. */
  toolFor({ name, envelope }: PlainCall): PlainTool | undefined {
    if (envelope === undefined || !this.#envelopes.has(envelope)) return undefined;
    const tool = this.#toolOf(name);
    const schema = tool && this.#schemaOf(name);
    return schema && this.#wantsHeaders(schema) ? undefined : tool;
  }

  /** Notes that the slow path found nothing wrong with the envelope and headers of `call`. */
  accepted({ envelope }: PlainCall): void {
    if (envelope === undefined) return;
    if (this.#envelopes.size >= MAX_ENVELOPES) this.#envelopes.clear();
    this.#envelopes.add(envelope);
  }

  #wantsHeaders(schema: JsonObject): boolean {
    const known = this.#askForHeaders.get(schema);
    if (known !== undefined) return known;
    const wants = asksForHeaders(schema);
    this.#askForHeaders.set(schema, wants);
    return wants;
  }
}

/** The plain call in a request; undefined if it is anything else, or its headers do not say exactly the same. */
export function plainCallIn(headers: IncomingHttpHeaders, body: unknown): PlainCall | undefined {
  if (headers["mcp-method"] !== "tools/call" || headers["mcp-protocol-version"] !== REVISION)
    return undefined;
  if (!isJsonObject(body) || !hasOnly(body, isMessageMember)) return undefined;
  const { jsonrpc, id, method, params } = body;
  if (jsonrpc !== "2.0" || method !== "tools/call" || !isRequestId(id)) return undefined;
  if (!isJsonObject(params) || !hasOnly(params, isParameter)) return undefined;
  const { name, arguments: args = {}, _meta: meta } = params;
  if (!isToolName(name) || headers["mcp-name"] !== name || !isJsonObject(args)) return undefined;
  // The SDK drops this member of a record, which the tool would see here.
  if (Object.hasOwn(args, "__proto__")) return undefined;
  if (!isJsonObject(meta) || meta[PROTOCOL_VERSION_META_KEY] !== REVISION || !hasOnly(meta, isIdleMeta))
    return undefined;
  return { id, name, args, envelope: envelopeOf(meta) };
}

/** Undefined if it is too long, or so wrong that its text could be that of a right one. */
function envelopeOf(meta: JsonObject): string | undefined {
  const capabilities = meta[CLIENT_CAPABILITIES_META_KEY];
  const client = meta[CLIENT_INFO_META_KEY];
  if (!isJsonObject(capabilities) || (client !== undefined && !isJsonObject(client))) return undefined;
  const text = JSON.stringify([capabilities, client]);
  return text.length > MAX_ENVELOPE_CHARS ? undefined : text;
}

function hasOnly(object: JsonObject, expected: (member: string) => boolean): boolean {
  for (const member in object) if (!expected(member)) return false;
  return true;
}

function isMessageMember(member: string): boolean {
  return member === "jsonrpc" || member === "id" || member === "method" || member === "params";
}

/** Not `inputResponses`, `requestState` or `task`: those calls are no plain ones. */
function isParameter(member: string): boolean {
  return member === "name" || member === "arguments" || member === "_meta";
}

/** Whether a member of `_meta` changes nothing about the answer, once the SDK has accepted its value. */
function isIdleMeta(member: string): boolean {
  if (member === "progressToken") return false;
  if (!member.startsWith(RESERVED_PREFIX)) return true;
  return (
    member === PROTOCOL_VERSION_META_KEY ||
    member === CLIENT_CAPABILITIES_META_KEY ||
    member === CLIENT_INFO_META_KEY
  );
}

function isRequestId(id: unknown): id is RequestId {
  return typeof id === "string" || Number.isSafeInteger(id);
}

/** Whether `name` can stand in a header as it is: one that looks encoded is decoded there. */
function isToolName(name: unknown): name is string {
  return typeof name === "string" && !name.startsWith("=?");
}
