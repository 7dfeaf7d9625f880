/**
 * What MCP 2026-07-28 wants of the headers of a request besides what the SDK's classifier checks: the standard
 * headers must be there, and `Mcp-Param-*` headers must say what the arguments say.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { JSONRPCRequest } from "@modelcontextprotocol/server";
import { isJsonObject, type JsonObject } from "../../content/json.ts";

/** Which parameter of a method the `Mcp-Name` header repeats. */
const NAMED_BY: Readonly<Record<string, string>> = {
  "tools/call": "name",
  "prompts/get": "name",
  "resources/read": "uri",
  "tasks/get": "taskId",
  "tasks/update": "taskId",
  "tasks/cancel": "taskId",
};

/** Looks up the input schema of a tool. */
export type SchemaLookup = (tool: string) => JsonObject | undefined;

/** What is wrong with the headers of a request; undefined if nothing is. */
export function headerFault(
  headers: IncomingHttpHeaders,
  request: JSONRPCRequest,
  schemaOf: SchemaLookup,
): string | undefined {
  const params = request.params ?? {};
  const method = textOf(headers["mcp-method"]);
  if (method === undefined) return "the Mcp-Method header is missing";
  if (method !== request.method) return `the Mcp-Method header says ${method}, the body ${request.method}`;
  const name = params[NAMED_BY[request.method] ?? ""];
  if (typeof name === "string") {
    const raw = textOf(headers["mcp-name"]);
    if (raw === undefined) return "the Mcp-Name header is missing";
    if (decoded(raw) !== name) return `the Mcp-Name header does not say ${name}`;
  }
  if (request.method !== "tools/call" || typeof name !== "string") return undefined;
  return paramFault(headers, params["arguments"], schemaOf(name));
}

/** Whether a schema asks for headers of its own for any argument. */
export function asksForHeaders(schema: JsonObject): boolean {
  const properties = schema["properties"];
  if (!isJsonObject(properties)) return false;
  return Object.values(properties).some(
    (definition) =>
      isJsonObject(definition) &&
      (typeof definition["x-mcp-header"] === "string" || asksForHeaders(definition)),
  );
}

/** Checks the arguments whose schema asks for a header of their own (`x-mcp-header`). */
function paramFault(headers: IncomingHttpHeaders, args: unknown, schema: unknown): string | undefined {
  const properties = isJsonObject(schema) ? schema["properties"] : undefined;
  if (!isJsonObject(properties)) return undefined;
  for (const [property, definition] of Object.entries(properties)) {
    if (!isJsonObject(definition)) continue;
    const header = definition["x-mcp-header"];
    const value = isJsonObject(args) ? args[property] : undefined;
    const fault =
      typeof header === "string"
        ? valueFault(header, textOf(headers[`mcp-param-${header.toLowerCase()}`]), value)
        : paramFault(headers, value, definition);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function valueFault(header: string, raw: string | undefined, value: unknown): string | undefined {
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") return undefined;
  if (raw === undefined) return `the Mcp-Param-${header} header is missing`;
  const text = decoded(raw);
  if (text === undefined) return `the Mcp-Param-${header} header is no valid Base64`;
  const equal = typeof value === "number" ? text !== "" && Number(text) === value : text === String(value);
  return equal ? undefined : `the Mcp-Param-${header} header does not say what the arguments say`;
}

function textOf(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" ? header.trim() : header?.[0]?.trim();
}

/** A header value; text that is unsafe in a header comes as `=?base64?…?=`. Undefined if that is malformed. */
function decoded(raw: string): string | undefined {
  const encoded = /^=\?base64\?(.*)\?=$/.exec(raw)?.[1];
  if (encoded === undefined) return raw;
  const bytes = Buffer.from(encoded, "base64");
  return bytes.toString("base64") === encoded ? bytes.toString("utf8") : undefined;
}
