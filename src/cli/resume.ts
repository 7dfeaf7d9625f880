/** The command that goes on where another one has ended. */

/** Flags that say which node and which queue are meant. What the environment says stays in force by itself. */
const KEPT_FLAGS: readonly (readonly [attribute: string, flag: string])[] = [
  ["config", "--config"],
  ["dataDir", "--data-dir"],
  ["node", "--node"],
  ["tokenFile", "--token-file"],
  ["peer", "--peer"],
  ["timeout", "--timeout"],
];

/** `mcpp wait` for a task, with those of a command's flags that it needs to find the task again. */
export function resumeCommand(taskId: string, flags: Readonly<Record<string, unknown>>): string {
  const kept = KEPT_FLAGS.flatMap(([attribute, flag]) => {
    const value = flags[attribute];
    return typeof value === "string" ? [flag, shellWord(value)] : [];
  });
  return ["mcpp wait", shellWord(taskId), ...kept].join(" ");
}

/** A word as a POSIX shell takes it. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
