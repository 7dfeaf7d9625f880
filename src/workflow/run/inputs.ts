/** Values of a run's inputs, as its workflow declares them. */
import { type JsonObject, isJsonObject, jsonBytes } from "../../content/json.ts";
import { InvalidInputError, MessageTooLargeError } from "../../errors.ts";
import { kindOf } from "../definition/evaluate.ts";
import { MAX_INPUT_BYTES } from "../definition/limits.ts";
import type { InputType, Workflow } from "../definition/workflow.ts";

/**
 * The inputs of a run: those given, and the defaults of the others.
 *
 * @throws InvalidInputError for one that is missing, not declared or of another type, MessageTooLargeError
 */
export function inputsOf({ inputs: declared = {}, name }: Workflow, given: JsonObject): JsonObject {
  const names = Object.keys(declared);
  const unknown = Object.keys(given).filter((key) => !Object.hasOwn(declared, key));
  if (unknown.length > 0) {
    const hint = names.length === 0 ? "it has no inputs" : `its inputs are ${names.join(", ")}`;
    throw new InvalidInputError(
      `workflow ${name} has no input ${unknown.map((key) => `'${key}'`).join(", ")}`,
      { hint },
    );
  }
  const values = Object.entries(declared).map(([key, { type = "any", default: standard }]) => {
    const value = Object.hasOwn(given, key) ? given[key] : standard;
    if (value === undefined)
      throw new InvalidInputError(`workflow ${name} needs the input '${key}' (${type})`);
    if (!isOf(type, value))
      throw new InvalidInputError(
        `input '${key}' of workflow ${name} must be of type ${type}, not ${kindOf(value)}`,
      );
    return [key, value] as const;
  });
  const result: JsonObject = Object.fromEntries(values);
  if (jsonBytes(result) > MAX_INPUT_BYTES)
    throw new MessageTooLargeError(`the inputs of a run have at most ${MAX_INPUT_BYTES} bytes of JSON`);
  return result;
}

function isOf(type: InputType, value: unknown): boolean {
  switch (type) {
    case "any":
      return true;
    case "array":
      return Array.isArray(value);
    case "object":
      return isJsonObject(value);
    case "string":
    case "number":
    case "boolean":
      break;
  }
  return typeof value === type;
}
