/** Holds scripts/build/external.ts to the packages that it stands for: `tsc` fails here when they part. */
import type * as sdk from "@modelcontextprotocol/client";
import type * as z from "zod";
import type * as external from "../../scripts/build/external.ts";

/** Fails to compile unless `From` can be used where `To` is wanted. */
export type Fits<From extends To, To> = From;

export type Checks = [
  Fits<sdk.Transport, external.Transport>,
  Fits<external.Transport, sdk.Transport>,
  Fits<sdk.JSONRPCMessage, external.JSONRPCMessage>,
  Fits<sdk.Implementation, external.Implementation>,
  Fits<external.Implementation, sdk.Implementation>,
  Fits<sdk.Tool, external.Tool>,
  Fits<sdk.CallToolResult, external.CallToolResult>,
  Fits<z.ZodType<string>, external.ZodType<string>>,
];
