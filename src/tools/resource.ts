/** Things that a host can read beside calling tools: one kind for each URI scheme. */
import type { Grant } from "../authority/grant.ts";
import type { JsonObject } from "../content/json.ts";
import type { ToolContext } from "./tool.ts";

/** One thing in a list. */
export interface ResourceLine {
  /** What stands after `scheme://`. */
  readonly id: string;
  readonly name: string;
  readonly description: string;
}

/** A kind of things. */
export interface ResourceKind {
  /** Its URIs are `scheme://` and the id of a thing. */
  readonly scheme: string;
  readonly title: string;
  readonly description: string;
  /** What the caller must hold to list or read. */
  readonly grant: Grant;
  /** The latest ones; a bounded list. */
  list(context: ToolContext): Promise<readonly ResourceLine[]>;
  /** @returns undefined if there is no such thing */
  read(id: string, context: ToolContext): Promise<JsonObject | undefined>;
}

/** How many things of one kind are listed: enough to choose from, and few enough for a host's menu. */
export const MAX_LISTED = 50;
