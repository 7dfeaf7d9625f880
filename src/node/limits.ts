/** All limits of a node as data, with what the settings make of them. */
import type { NodeConfig } from "../config.ts";
import { durationText, sizeText } from "../config/kind.ts";
import { DISCOVERY_LIMIT_GROUPS } from "../discovery/limits.ts";
import type { LimitUnit } from "../p2p/limits/limit.ts";
import { P2P_LIMIT_GROUPS, P2P_LIMITS, type P2pLimitName } from "../p2p/limits.ts";
import { limitsOf } from "./protection.ts";

/** The settings that change a limit. */
export const TUNED: Readonly<Partial<Record<P2pLimitName, string>>> = {
  maxConnections: "--max-connections",
  maxAddressConnections: "--max-connections-per-address",
  maxFrameBytes: "--max-frame",
  maxServing: "--max-peer-requests",
  peerBytesPerSecond: "--max-peer-rate",
  peerBytesBurst: "--max-peer-rate",
};

/** One limit as it is in force. */
export interface EffectiveLimit {
  readonly group: string;
  readonly name: string;
  readonly value: number;
  readonly unit: LimitUnit;
  /** The value for people, e.g. `16MiB`. */
  readonly shown: string;
  readonly what: string;
  readonly why: string;
  /** The flag that changes it. */
  readonly setting?: string | undefined;
}

/** All limits of the peer-to-peer wire and of finding peers. @param config - absent: the defaults */
export function effectiveLimits(config?: NodeConfig): readonly EffectiveLimit[] {
  const changed: Readonly<Record<string, number | undefined>> = config ? { ...limitsOf(config) } : {};
  return [...P2P_LIMIT_GROUPS, ...DISCOVERY_LIMIT_GROUPS].flatMap(({ title, limits }) =>
    Object.entries(limits).map(([name, { value: standard, unit, what, why }]) => {
      const value = changed[name] ?? standard;
      const setting = isTunable(name) ? TUNED[name] : undefined;
      return { group: title, name, value, unit, shown: limitText(value, unit), what, why, setting };
    }),
  );
}

function isTunable(name: string): name is P2pLimitName {
  return Object.hasOwn(P2P_LIMITS, name);
}

/** A limit as one would say it. */
export function limitText(value: number, unit: LimitUnit): string {
  if (unit === "ms") return durationText(value);
  if (unit === "count") return String(value);
  if (unit === "bytes") return sizeText(value);
  return unit === "bytes/s" ? `${sizeText(value)}/s` : `${value}${unit}`;
}
