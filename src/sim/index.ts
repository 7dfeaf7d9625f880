/** A simulator: the product's own scheduling code for many peers, on virtual time and a network that fails. */
export { type Fault, FAULTS, parseFaults } from "./faults.ts";
export type { Promised, Violation } from "./referee.ts";
export type { NetworkCounts } from "./network.ts";
export {
  DEFAULT_PEERS,
  DEFAULT_TASKS,
  MAX_PEERS,
  MAX_TASKS,
  simulate,
  type SimulationOptions,
  type SimulationReport,
} from "./simulate.ts";
