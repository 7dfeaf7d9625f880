/** Asks peers whether public addresses of this node can be dialled, and dials theirs back when they ask (AutoNAT v2). */
import { autoNATv2 } from "@libp2p/autonat-v2";
import type { Mechanism } from "../mechanism.ts";

/** Confirmation of public addresses. Never version 1: its server closes live connections. */
export function autonat(): Mechanism {
  return { name: "autonat", services: { autonat: autoNATv2() } };
}
