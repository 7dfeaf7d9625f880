/** The limits of the DHT, with the reason for each. */
import { type Limit, MINUTE, SECOND } from "../../p2p/limits/limit.ts";

type Name = "dhtLookMs" | "dhtProvideMs" | "dhtProviders" | "dhtRememberMs" | "dhtRecords" | "dhtRepublishMs";

/** The limits by name. */
export const DHT_LIMITS: { readonly [N in Name]: Limit } = {
  dhtLookMs: {
    value: 10 * SECOND,
    unit: "ms",
    what: "How long one look may take.",
    why: "A DHT that has more to say says it at the next.",
  },
  dhtProvideMs: {
    value: 30 * SECOND,
    unit: "ms",
    what: "How long telling the DHT of this node may take.",
    why: "Up to twenty nodes are told.",
  },
  dhtProviders: {
    value: 200,
    unit: "count",
    what: "Nodes of the namespace that are remembered.",
    why: "One look ends at twenty.",
  },
  dhtRememberMs: {
    value: 10 * MINUTE,
    unit: "ms",
    what: "How long one of them is given out after it was last found.",
    why: "Records in a DHT live for a day, addresses not as long.",
  },
  dhtRecords: {
    value: 50_000,
    unit: "count",
    what: "Records that are kept for others; the oldest makes room.",
    why: "At some 200 bytes each this is 10 MB.",
  },
  dhtRepublishMs: {
    value: 30 * MINUTE,
    unit: "ms",
    what: "How often the own record is renewed.",
    why: "As old nodes do it.",
  },
};
