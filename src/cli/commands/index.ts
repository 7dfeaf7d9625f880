/** The commands, one file each. To add one: its file, and a line here. What they need is loaded when they run. */
import type { Command } from "../command.ts";
import { cacheDelete } from "./cache-delete.ts";
import { cacheGet } from "./cache-get.ts";
import { cacheHas } from "./cache-has.ts";
import { cacheSet } from "./cache-set.ts";
import { cacheStats } from "./cache-stats.ts";
import { call } from "./call.ts";
import { cancel } from "./cancel.ts";
import { configShow } from "./config-show.ts";
import { demo } from "./demo.ts";
import { doctor } from "./doctor.ts";
import { flowApprove } from "./flow-approve.ts";
import { flowCancel } from "./flow-cancel.ts";
import { flowCheck } from "./flow-check.ts";
import { flowExplain } from "./flow-explain.ts";
import { flowList } from "./flow-list.ts";
import { flowReplay } from "./flow-replay.ts";
import { flowRetry } from "./flow-retry.ts";
import { flowRun } from "./flow-run.ts";
import { flowShow } from "./flow-show.ts";
import { id } from "./id.ts";
import { peers } from "./peers.ts";
import { serve } from "./serve.ts";
import { sim } from "./sim.ts";
import { swarmKey } from "./swarm-key.ts";
import { status } from "./status.ts";
import { storeBackup } from "./store-backup.ts";
import { storeCheck } from "./store-check.ts";
import { storeCopy } from "./store-copy.ts";
import { storeMigrate } from "./store-migrate.ts";
import { submit } from "./submit.ts";
import { tasks } from "./tasks.ts";
import { tools } from "./tools.ts";
import { wait } from "./wait.ts";
import { why } from "./why.ts";
import { worker } from "./worker.ts";

/** All commands, in the order in which help lists them. */
export const commands: readonly Command[] = [
  serve,
  worker,
  demo,
  call,
  tools,
  submit,
  wait,
  tasks,
  cancel,
  flowRun,
  flowCheck,
  flowList,
  flowShow,
  flowApprove,
  flowCancel,
  flowRetry,
  flowExplain,
  flowReplay,
  cacheGet,
  cacheSet,
  cacheHas,
  cacheDelete,
  cacheStats,
  peers,
  why,
  doctor,
  status,
  id,
  swarmKey,
  configShow,
  sim,
  storeMigrate,
  storeCheck,
  storeBackup,
  storeCopy,
];
