/** Runs of workflows as resources: `workflow://<run id>`. */
import { MAX_LISTED, type ResourceKind } from "../resource.ts";
import { runObject } from "./target.ts";

/** The runs of this node. */
export const workflowResource: ResourceKind = {
  scheme: "workflow",
  title: "Workflow run",
  description: "A workflow run with its steps, results and errors",
  grant: "observe",

  async list(context) {
    const { runs } = await context.workflows({}).list({ limit: MAX_LISTED }, { signal: context.signal });
    return runs.map(({ id, workflow, state, asking }) => ({
      id,
      name: `${workflow} ${id.slice(0, 8)}`,
      description: asking > 0 ? `${state}, waits for an answer` : state,
    }));
  },

  async read(id, context) {
    const run = await context.workflows({}).get(id, { signal: context.signal });
    return run && runObject(run);
  },
};
