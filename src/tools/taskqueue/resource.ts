/** Tasks as resources: `task://<task id>`. */
import { taskRow } from "../../task/row.ts";
import { MAX_LISTED, type ResourceKind } from "../resource.ts";

/** The tasks of this node's queue that run now. */
export const taskResource: ResourceKind = {
  scheme: "task",
  title: "Task",
  description: "A task with its result, progress, logs, error and history",
  grant: "observe",

  async list(context) {
    const filter = { state: "running", limit: MAX_LISTED } as const;
    const { tasks } = await context.queue({}).list(filter, { signal: context.signal });
    return tasks.map(({ id, type, state, workerId }) => ({
      id,
      name: `${type} ${id}`,
      description: workerId === undefined ? state : `${state} at ${workerId}`,
    }));
  },

  async read(id, context) {
    const task = await context.queue({}).get(id, { signal: context.signal });
    return task && { ...taskRow(task) };
  },
};
