/**
 * What a Dockerfile would do, measured against the policy, before any engine sees it.
 *
 * Not a whole parser: one that sees the instructions which every builder sees. So what some builders read differently,
 * such as here-documents and other escape characters, is refused.
 */
import { InvalidInputError } from "../../errors.ts";
import { checkImage, refused } from "./grant.ts";
import { parseImage } from "./image-name.ts";
import type { ContainerPolicy } from "./policy.ts";

/** An instruction and what follows it. */
interface Instruction {
  readonly word: string;
  readonly rest: string;
}

/** @throws WorkFailedError `E_CONTAINER_DENIED` for what the policy does not allow, InvalidInputError for what is wrong */
export function checkDockerfile(
  text: string,
  args: Readonly<Record<string, string>>,
  policy: ContainerPolicy,
): void {
  if (text.includes("\0")) throw new InvalidInputError("the Dockerfile is no text");
  checkDirectives(text);
  const variables = new Map<string, string>();
  const stages = new Set<string>();
  let hasStage = false;
  for (const instruction of instructionsOf(text)) {
    if (instruction.word === "ARG" && !hasStage) declare(instruction.rest, args, variables);
    if (instruction.word === "FROM") {
      hasStage = true;
      checkFrom(instruction.rest, variables, stages, policy);
    }
    checkInstruction(instruction, stages, policy);
  }
  if (!hasStage) throw new InvalidInputError("the Dockerfile has no FROM");
}

/** Directives change how the rest is read, or name a program that reads it. */
function checkDirectives(text: string): void {
  for (const line of text.split(/\r?\n/)) {
    const [, name = "", value = ""] = /^\s*#\s*([A-Za-z]+)\s*=\s*(\S*)/.exec(line) ?? [];
    const word = name.toLowerCase();
    if (word === "escape" && value !== "\\") throw refused("another escape character", "use the backslash");
    if (word === "syntax" && !/^docker\/dockerfile:1(\.\d+)*$/.test(value))
      throw refused("another Dockerfile syntax", "use the usual one");
  }
}

function instructionsOf(text: string): readonly Instruction[] {
  const physical = text.split(/\r?\n/);
  // Comments and empty lines inside a continued instruction do not end it.
  const solid = physical.filter((line) => !/^\s*(#|$)/.test(line)).join("\n");
  const joined = solid.replace(/\\[ \t]*\n/g, "").split("\n");
  return joined.flatMap((line) => {
    const bare = line.trim().replace(/^(ONBUILD\s+)+/i, "");
    const match = /^([A-Za-z]+)\s+([\s\S]*)$/.exec(bare);
    return match ? [{ word: (match[1] ?? "").toUpperCase(), rest: match[2] ?? "" }] : [];
  });
}

function declare(rest: string, args: Readonly<Record<string, string>>, variables: Map<string, string>): void {
  for (const [, name = "", , value = ""] of rest.matchAll(/([A-Za-z_]\w*)(=("[^"]*"|'[^']*'|\S*))?/g)) {
    variables.set(name, args[name] ?? value.replace(/^(["'])(.*)\1$/, "$2"));
  }
}

function checkFrom(
  rest: string,
  variables: ReadonlyMap<string, string>,
  stages: Set<string>,
  policy: ContainerPolicy,
): void {
  const words = rest
    .trim()
    .split(/\s+/)
    .filter((word) => !word.startsWith("--"));
  const [named = "", as, stage] = words;
  const image = named.replace(/\$\{?([A-Za-z_]\w*)\}?/g, (_all, name: string) => variables.get(name) ?? "");
  if (/[${}"']/.test(image)) throw refused(`the base image '${named}'`, "name it, or set it by a plain ARG");
  checkBase(image, stages, policy);
  if (as?.toUpperCase() === "AS" && stage !== undefined) stages.add(stage.toLowerCase());
}

function checkBase(image: string, stages: ReadonlySet<string>, policy: ContainerPolicy): void {
  if (image === "scratch" || stages.has(image.toLowerCase())) return;
  checkImage(parseImage(image), policy);
}

function checkInstruction(
  { word, rest }: Instruction,
  stages: ReadonlySet<string>,
  policy: ContainerPolicy,
): void {
  if (/^(RUN|COPY|ADD)$/.test(word) && /<<-?\s*["']?\w/.test(rest))
    throw refused("here-documents in a Dockerfile", "put the text into a file of the repository");
  if (word === "RUN") {
    if (!policy.buildRun) throw refused("RUN in a Dockerfile", "--container-build-run would");
    // What they mount, or which network they join, is the builder's to decide, with the rights of the engine.
    if (/(^|\s)--(mount|security|network|device)\b/.test(rest))
      throw refused("options of RUN in a Dockerfile", "leave out --mount, --security and --network");
  }
  if (
    word === "ADD" &&
    /\b(https?|ftp|git|ssh):\/\/|(^|[\s"'[])git@|\$/i.test(rest) &&
    policy.networks.length === 0
  )
    throw refused("ADD from elsewhere", "there is no network");
  if (word === "COPY" || word === "ADD") {
    const from = /(?:^|\s)--from=(\S+)/.exec(rest)?.[1];
    if (from !== undefined && !/^\d+$/.test(from)) checkBase(from, stages, policy);
  }
}
