/** Answers to `resources/list`, `resources/templates/list` and `resources/read`. */
import {
  type ListResourcesResult,
  type ListResourceTemplatesResult,
  ProtocolError,
  ProtocolErrorCode,
  type ReadResourceResult,
  ResourceNotFoundError,
} from "@modelcontextprotocol/server";
import type { Caller } from "../authority/caller.ts";
import { covers } from "../authority/grant.ts";
import { errorFacts, McpError } from "../errors.ts";
import { DEFAULT_DEADLINE_MS, type ResourceKind, type ToolContext } from "../tools/index.ts";
import type { DispatchOptions } from "./dispatch.ts";

/** Longest id that is looked for: no id of ours is as long. */
const MAX_ID_CHARS = 256;
const TYPE = "application/json";

/** What a server can be asked about resources. */
export interface Resources {
  readonly templates: ListResourceTemplatesResult;
  /** The latest things of all kinds that the caller may read. */
  list(caller: Caller, signal: AbortSignal): Promise<ListResourcesResult>;
  /** @throws ProtocolError if there is no such thing, or the caller may not read it */
  read(uri: string, caller: Caller, signal: AbortSignal): Promise<ReadResourceResult>;
}

/** Resources of these kinds. */
export function createResources(
  kinds: readonly ResourceKind[],
  { authority, nursery, context }: Pick<DispatchOptions, "authority" | "nursery" | "context">,
): Resources {
  const within = <T>(
    caller: Caller,
    signal: AbortSignal,
    work: (own: ToolContext) => Promise<T>,
  ): Promise<T> =>
    nursery.run(
      (scope) => work(context(caller, { signal: scope.signal, progress: () => undefined, isHeard: false })),
      { timeoutMs: DEFAULT_DEADLINE_MS, signal },
      "resource",
    );
  return {
    templates: { resourceTemplates: kinds.map(template) },
    async list(caller, signal) {
      const held = authority.grantsOf(caller);
      const visible = kinds.filter(({ grant }) => covers(held, grant));
      const lists = await within(caller, signal, (own) =>
        Promise.all(
          visible.map(async (kind) =>
            (await kind.list(own)).map(({ id, name, description }) => ({
              uri: `${kind.scheme}://${id}`,
              name,
              description,
              mimeType: TYPE,
            })),
          ),
        ),
      );
      return { resources: lists.flat() };
    },
    async read(uri, caller, signal) {
      const [, scheme = "", id = ""] = /^([a-z]+):\/\/([^/?#]+)\/?$/.exec(uri) ?? [];
      const kind = kinds.find((one) => one.scheme === scheme);
      if (!kind || id === "" || id.length > MAX_ID_CHARS) throw new ResourceNotFoundError(uri);
      const value = await readable(async () => {
        authority.require(caller, kind.grant);
        return within(caller, signal, (own) => kind.read(id, own));
      });
      if (value === undefined) throw new ResourceNotFoundError(uri);
      return { contents: [{ uri, mimeType: TYPE, text: JSON.stringify(value) }] };
    },
  };
}

function template({
  scheme,
  title,
  description,
}: ResourceKind): ListResourceTemplatesResult["resourceTemplates"][number] {
  return { uriTemplate: `${scheme}://{id}`, name: scheme, title, description, mimeType: TYPE };
}

/** What was thrown on purpose tells the caller why; a defect stays one. */
async function readable<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof McpError)) throw error;
    const { message, code, failureClass } = errorFacts(error);
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, message, { code, failureClass });
  }
}
