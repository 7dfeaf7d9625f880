/** The few kinds of tools there are, as hints for hosts. */
import type { ToolAnnotations } from "./tool.ts";

/** A tool that only reads. */
export function reads(title: string): ToolAnnotations {
  return { title, readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false };
}

/** A tool that adds something, anew at each call. */
export function adds(title: string): ToolAnnotations {
  return { title, readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false };
}

/** A tool that sets something: calling it again changes nothing more. */
export function sets(title: string): ToolAnnotations {
  return { title, readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false };
}

/** A tool that ends or replaces something for good; calling it again changes nothing more. */
export function ends(title: string): ToolAnnotations {
  return { title, readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false };
}

/** A tool that may do anything anywhere. */
export function acts(title: string): ToolAnnotations {
  return { title, readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true };
}
