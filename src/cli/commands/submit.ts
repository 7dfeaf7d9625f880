import { duration, integer, onOff, text } from "../../config/kind.ts";
import type { JsonObject } from "../../content/json.ts";
import type { Command, Invocation, Option } from "../command.ts";
import { firstArgument, FOLLOW, PEER, TIMEOUT, WAIT_TIMEOUT_MS } from "../options.ts";

/** The limits of task/task.ts, without loading it: the node checks again. */
const MAX_PRIORITY = 10;
const MAX_ATTEMPTS = 100;
const MAX_DELAY_MS = 90 * 86_400_000;

const MODEL: Option<string> = {
  flag: "model",
  kind: text("name", "a name"),
  summary: "Which model is meant; only a worker that has it gets the task.",
};
const SESSION: Option<string> = {
  flag: "session",
  kind: text("id", "the id of a session"),
  summary: "Session of a task for a model: it goes first to the worker that had the session last.",
};
const ONLY_WORKER: Option<string> = {
  flag: "only-worker",
  kind: text("name", "the name of a worker"),
  summary: "The one worker that may have the task.",
};
const PRIORITY: Option<number> = {
  flag: "priority",
  kind: integer("1-10", 1, MAX_PRIORITY),
  summary: "1 (last) to 10 (first). Default 5.",
};
const DELAY: Option<number> = {
  flag: "delay",
  kind: duration(0, MAX_DELAY_MS),
  summary: "Do not begin before this time has passed, e.g. 30s.",
};
const KEY: Option<string> = {
  flag: "key",
  kind: text("key", "a key"),
  summary: "Idempotency key: the same key gives the same task, so a repeated submit does no harm.",
};
const ATTEMPTS: Option<number> = {
  flag: "max-attempts",
  kind: integer("n", 1, MAX_ATTEMPTS),
  summary: "How often to try before the task is given up. Default 3.",
};
const WAIT: Option<boolean> = {
  flag: "wait",
  kind: onOff(),
  summary: "Wait for the task, and print its result.",
};

/** Submits a task. */
export const submit: Command = {
  name: "submit",
  summary: "Put a durable task on a queue and print its id; with --wait or --follow, its result.",
  args: [
    { name: "<type>", summary: "What kind of work, e.g. echo or tool.call." },
    { name: "[payload]", summary: "Its arguments, a JSON object. Default {}." },
  ],
  options: [MODEL, SESSION, ONLY_WORKER, PRIORITY, DELAY, KEY, ATTEMPTS, PEER, WAIT, FOLLOW, TIMEOUT],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [
    { line: `mcpp submit echo '{"hello":"world"}' --wait`, does: "the result" },
    {
      line: `mcpp submit tool.call '{"tool":"fs__read_file","arguments":{"path":"README.md"}}'`,
      does: "a tool call that cannot be lost",
    },
    {
      line: `mcpp submit text-generation '{"prompt":"Write a haiku","temperature":0}' --model llama3.2 --wait`,
      does: "a text of a worker that has the model",
    },
    {
      line: `mcpp submit docker.execute '{"image":"busybox","command":["date"]}' --follow`,
      does: "what the container writes, while it writes it",
    },
    { line: "mcpp submit echo --key nightly-2026-11-22 --delay 1h", does: "once, in an hour" },
  ],
  json: '{"ok":true,"task_id":string,"peer_id":string,"created":boolean,"task"?:object}, task (as p2p_taskqueue_get_task gives it) with --wait; with --follow the lines of mcpp wait --follow before it',

  async run(invocation) {
    const args = await submitArguments(invocation);
    const { configOf, openSession, peerArguments } = await import("../session.ts");
    const { resultText, text: member, waitForTask } = await import("../tasks.ts");
    const peer = invocation.get(PEER);
    const loaded = configOf(invocation);
    const session = await openSession(loaded);
    try {
      const receipt = await session.call("p2p_taskqueue_submit", { ...args, ...peerArguments(peer) });
      const taskId = member(receipt, "task_id");
      const follow = invocation.get(FOLLOW);
      if (!invocation.get(WAIT) && !follow) {
        invocation.out.result(taskId, receipt);
        return;
      }
      invocation.out.note(`task ${taskId}`);
      const timeoutMs = invocation.get(TIMEOUT) ?? WAIT_TIMEOUT_MS;
      const task = await waitForTask(invocation, { taskId, peer, follow, timeoutMs, loaded, session });
      invocation.out.result(resultText(task), { ...receipt, task });
    } finally {
      await session.client.close();
    }
  },
};

async function submitArguments(invocation: Invocation): Promise<JsonObject> {
  const { parseObject } = await import("../arguments.ts");
  const priority = invocation.get(PRIORITY);
  const delayMs = invocation.get(DELAY);
  const attempts = invocation.get(ATTEMPTS);
  const key = invocation.get(KEY);
  const session = invocation.get(SESSION);
  const worker = invocation.get(ONLY_WORKER);
  return {
    task_type: firstArgument(invocation),
    model_name: invocation.get(MODEL) ?? "",
    payload: {
      ...parseObject("the payload", invocation.args[1] ?? "{}"),
      ...(session !== undefined && { session_id: session }),
      ...(worker !== undefined && { sticky_worker_id: worker }),
    },
    ...(priority !== undefined && { priority }),
    ...(delayMs !== undefined && { delay_s: delayMs / 1000 }),
    ...(attempts !== undefined && { max_attempts: attempts }),
    ...(key !== undefined && { idempotency_key: key }),
  };
}
