/**
 * What `tools/list` answers.
 *
 * Schemas are converted once, when the server is made, and the answers are kept until a mounted server changes: the
 * SDK's own registry converts every schema at every call.
 */
import { ToolSchema } from "@modelcontextprotocol/core";
import type { ListToolsResult, Tool as ListedTool } from "@modelcontextprotocol/server";
import * as z from "zod";
import type { Authority } from "../authority/authority.ts";
import type { Caller } from "../authority/caller.ts";
import { covers } from "../authority/grant.ts";
import { isJsonObject, type JsonObject } from "../content/json.ts";
import type { Logger } from "../logger.ts";
import type { Tool } from "../tools/index.ts";
import type { Upstream } from "./upstream.ts";

/** The tools of a server, as hosts see them. */
export interface Listing {
  /** Own tools in their order, then those of mounted servers that the caller may call, by name. */
  list(caller: Caller): ListToolsResult;
  /** The input schema of a tool, as it is listed; undefined if there is no such tool. */
  inputSchemaOf(name: string): JsonObject | undefined;
  /** The output schema of a tool, as it is listed; undefined if it has none. */
  outputSchemaOf(name: string): JsonObject | undefined;
  /** Forgets the answers, because a mounted server has changed. */
  refresh(): void;
}

/** Makes the listing of `tools` and of what `upstreams` offers. A mounted tool never takes an own tool's name. */
export function createListing(
  tools: readonly Tool[],
  upstreams: Upstream | undefined,
  authority: Authority,
  logger: Logger,
): Listing {
  const own = tools.map(listed);
  const ownNames = new Set(own.map(({ name }) => name));
  let all: ReadonlyMap<string, ListedTool> | undefined;
  let answer: { readonly grants: string; readonly result: ListToolsResult } | undefined;

  const gather = (): ReadonlyMap<string, ListedTool> => {
    const mounted = (upstreams?.listTools() ?? []).filter(({ name }) => {
      if (ownNames.has(name))
        logger.warn({ tool: name }, "a mounted tool has the name of an own one and is not listed");
      return !ownNames.has(name);
    });
    const sorted = mounted.toSorted((one, other) => (one.name < other.name ? -1 : 1));
    return new Map([...own, ...sorted].map((tool) => [tool.name, tool]));
  };
  const current = (): ReadonlyMap<string, ListedTool> => (all ??= gather());

  return {
    list(caller) {
      const held = authority.grantsOf(caller);
      const grants = held.join(" ");
      if (answer?.grants !== grants) {
        const visible = [...current().values()].filter(
          ({ name }) => ownNames.has(name) || covers(held, `tools:${name}`),
        );
        answer = { grants, result: { tools: visible } };
      }
      return answer.result;
    },
    inputSchemaOf: (name) => current().get(name)?.inputSchema,
    outputSchemaOf: (name) => current().get(name)?.outputSchema,
    refresh() {
      all = undefined;
      answer = undefined;
    },
  };
}

function listed({ name, description, annotations, input, output }: Tool): ListedTool {
  return ToolSchema.parse({
    name,
    title: annotations.title,
    description,
    inputSchema: plain(z.toJSONSchema(input, { io: "input", override: shorter })),
    outputSchema: describedOnce(
      withFailure(plain(z.toJSONSchema(output, { io: "output", override: shorterOutput }))),
    ),
    annotations,
  });
}

/** MCP takes the 2020-12 dialect for granted, and older clients choke on its name. */
function plain(json: JsonObject): JsonObject {
  const { $schema: _, ...schema } = json;
  return schema;
}

/** What every failed call answers besides `ok: false`. Its names speak for themselves: this is listed with each tool. */
const FAILURE: JsonObject = {
  ok: { type: "boolean" },
  error: { type: "string" },
  error_code: { type: "string", description: "Stable, E_…" },
  failure_class: { type: "string" },
  retryable: { type: "boolean" },
  hint: { type: "string", description: "What to do about it" },
};

/** The schema of a success or a failure: hosts check both against it. Only `ok` is always there, if a success has it. */
function withFailure(success: JsonObject): JsonObject {
  const { required: _, additionalProperties: __, ...schema } = success;
  const properties = isJsonObject(schema["properties"]) ? schema["properties"] : {};
  const required = "ok" in properties ? { required: ["ok"] } : {};
  return { ...schema, properties: { ...properties, ...FAILURE }, ...required };
}

/**
 * Says the same with less: every host reads the whole list, and many give all of it to a model.
 *
 * Takes out what zod writes although it says nothing: the range of safe integers, that keys are text and that values
 * are anything. A choice between bare types becomes a list of types.
 */
function shorter({ jsonSchema: schema }: { readonly jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (isJsonObject(schema.propertyNames) && schema.propertyNames["type"] === "string")
    delete schema.propertyNames;
  const { additionalProperties: rest, anyOf } = schema;
  if (isJsonObject(rest) && Object.keys(rest).length === 0) delete schema.additionalProperties;
  const types = schema.type === undefined && anyOf ? anyOf.map(bareTypes) : [];
  if (types.length === 0 || types.includes(undefined)) return;
  delete schema.anyOf;
  Object.assign(schema, { type: [...new Set(types.flatMap((some) => some ?? []))] });
}

/** {@link shorter}, and open: answers may get further members, which a host must not take for a fault. */
function shorterOutput(context: { readonly jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  shorter(context);
  const { jsonSchema: schema } = context;
  if (schema.additionalProperties === false) delete schema.additionalProperties;
}

/** Cuts object schemas that are described in another tool (`describedIn`) down to their members' types. */
function describedOnce(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(describedOnce);
  if (!isJsonObject(json)) return json;
  const { describedIn, properties } = json;
  if (typeof describedIn !== "string" || !isJsonObject(properties))
    return Object.fromEntries(Object.entries(json).map(([name, part]) => [name, describedOnce(part)]));
  const members = Object.entries(properties).map(([name, member]) => {
    const type = isJsonObject(member) ? member["type"] : undefined;
    return [name, type === undefined ? {} : { type }];
  });
  const description = `Members as in ${describedIn}`;
  return { type: "object", description, properties: Object.fromEntries(members) };
}

/** The types that a schema allows if it says nothing else; undefined if it says more. */
function bareTypes(schema: z.core.JSONSchema._JSONSchema): readonly string[] | undefined {
  if (typeof schema !== "object" || Object.keys(schema).join() !== "type") return undefined;
  const types: unknown = schema.type;
  if (typeof types === "string") return [types];
  return Array.isArray(types) ? types.filter((type) => typeof type === "string") : undefined;
}
