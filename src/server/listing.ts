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
    inputSchema: plain(z.toJSONSchema(input, { io: "input", override: withoutNoise })),
    outputSchema: withFailure(plain(z.toJSONSchema(output, { io: "output", override: withoutNoise }))),
    annotations,
  });
}

/** MCP takes the 2020-12 dialect for granted, and older clients choke on its name. */
function plain(json: JsonObject): JsonObject {
  const { $schema: _, ...schema } = json;
  return schema;
}

/** What every failed call answers besides `ok: false`. */
const FAILURE: JsonObject = {
  ok: { type: "boolean", description: "Whether the call did what it was asked to do" },
  error: { type: "string", description: "What went wrong" },
  error_code: { type: "string", description: "Stable code of what went wrong, E_…" },
  failure_class: {
    type: "string",
    description: "What can be done about it: invalid, denied, not-found, conflict, lost, busy, timeout, …",
  },
  retryable: { type: "boolean", description: "Whether the same call may succeed later" },
  hint: { type: "string", description: "What to do about it" },
};

/** The schema of a success or a failure: hosts check both against it. Only `ok` is always there. */
function withFailure(success: JsonObject): JsonObject {
  const { required: _, additionalProperties: __, ...schema } = success;
  const properties = isJsonObject(schema["properties"]) ? schema["properties"] : {};
  return { ...schema, properties: { ...properties, ...FAILURE }, required: ["ok"] };
}

/** Takes out what zod writes although it says nothing: the range of safe integers, and that keys are text. */
function withoutNoise({ jsonSchema }: { readonly jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
  if (isJsonObject(jsonSchema.propertyNames) && jsonSchema.propertyNames["type"] === "string")
    delete jsonSchema.propertyNames;
}
