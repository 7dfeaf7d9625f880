/**
 * Real peers of other languages against this product: `npm run test:interop`.
 *
 * The first run downloads and builds them (docs/reference/interop.md says what), so `npm test` leaves this out. All
 * traffic of the scenarios stays on loopback.
 */
import { describe } from "node:test";
import { leaveNothingBehind } from "./cleanup.ts";
import { type Foreign, prepareGo, preparePython } from "./prepare.ts";
import { connecting } from "./scenarios/connecting.ts";
import { frames } from "./scenarios/frames.ts";
import { framesThere } from "./scenarios/frames-there.ts";
import { lines } from "./scenarios/lines.ts";
import { linesThere } from "./scenarios/lines-there.ts";
import { mdns } from "./scenarios/mdns.ts";
import { rendezvous } from "./scenarios/rendezvous.ts";

/** The shelf: one line for each scenario. */
const SCENARIOS: readonly ((foreign: Foreign) => void)[] = [
  connecting,
  lines,
  linesThere,
  frames,
  framesThere,
  rendezvous,
  mdns,
];

const LIBRARIES = { "py-libp2p": preparePython, "go-libp2p": prepareGo };

leaveNothingBehind();

/** Only this library, if one is named. */
const wanted = process.env["MCPP_INTEROP"] ?? "";

for (const [name, prepare] of Object.entries(LIBRARIES)) {
  if (wanted !== "" && wanted !== name) continue;
  const foreign = await prepare();
  const skip = foreign.missing === undefined ? false : `${name}: ${foreign.missing}`;
  describe(foreign.version || name, { skip }, () => {
    for (const scenario of SCENARIOS) scenario(foreign);
  });
}
