/** The vector clock and its root, for code that has to agree with nodes of the old system. */
export {
  type ClockJson,
  MAX_CLOCK_ENTRIES,
  MAX_CLOCK_ID_CHARS,
  MAX_COUNTER_DIGITS,
  merkleClockRoot,
  merkleClockText,
  parseClock,
  VectorClock,
} from "./clock.ts";
