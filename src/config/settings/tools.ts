/** Settings of the tools that the node offers. */
import { onOff } from "../kind.ts";
import { names, type SettingTable } from "./setting.ts";

/** Which tools of its own the node offers. */
export const TOOLS: Pick<SettingTable, "p2pTools" | "taskqueueTools" | "workflowTools"> = {
  p2pTools: {
    ...names("p2p-tools"),
    kind: onOff(),
    fallback: () => true,
    summary: "Offer tools of the node's own; without them it offers those of mounted servers only.",
  },
  taskqueueTools: {
    ...names("taskqueue-tools"),
    kind: onOff(),
    fallback: () => true,
    summary: "Offer the tools of the task queue among them.",
  },
  workflowTools: {
    ...names("workflow-tools"),
    kind: onOff(),
    fallback: () => true,
    summary: "Offer the tools of the workflow scheduler among them.",
  },
};
