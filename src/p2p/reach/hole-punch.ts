/**
 * From a relayed connection to a direct one (DCUtR).
 *
 * libp2p for JavaScript dials from a port of its own choice, so this works where one of the two can be dialled: it does
 * not punch through two NATs. The service closes the relayed connection as soon as the direct one is open, which would
 * cut every call on it; it is given connections that do not close, and the host closes them when nothing uses them.
 */
import { dcutr } from "@libp2p/dcutr";
import type { Connection } from "@libp2p/interface";
import type { Libp2pComponents, Mechanism } from "../mechanism.ts";

type Registrar = Libp2pComponents["registrar"];

/** Upgrades relayed connections. */
export function holePunch(): Mechanism {
  const create = dcutr();
  return {
    name: "hole-punch",
    services: {
      dcutr: ({ peerStore, connectionManager, addressManager, transportManager, logger, registrar }) =>
        create({
          peerStore,
          connectionManager,
          addressManager,
          transportManager,
          logger,
          registrar: lasting(registrar),
        }),
    },
  };
}

/** A registrar whose connections stay open. */
function lasting(registrar: Registrar): Registrar {
  const handle: Registrar["handle"] = (protocol, handler, options) =>
    registrar.handle(protocol, (stream, connection) => handler(stream, stays(connection)), options);
  const register: Registrar["register"] = (protocol, topology, options) =>
    registrar.register(
      protocol,
      { ...topology, onConnect: (peer, connection) => topology.onConnect?.(peer, stays(connection)) },
      options,
    );
  return replacing(registrar, { handle, register });
}

function stays(connection: Connection): Connection {
  return replacing(connection, { close: () => Promise.resolve() });
}

/** `target` with some members replaced. */
function replacing<T extends object>(target: T, members: Partial<T>): T {
  return new Proxy(target, {
    get(object, key) {
      const replaced: unknown = Reflect.get(members, key);
      if (replaced !== undefined) return replaced;
      const value: unknown = Reflect.get(object, key);
      return typeof value === "function" ? value.bind(object) : value;
    },
  });
}
