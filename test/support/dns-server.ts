/** A name server on loopback that knows the TXT records it is given. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { decode, encode } from "dns-packet";

/** A running name server. */
export interface DnsServer extends AsyncDisposable {
  /** `address:port`, for a resolver. */
  readonly address: string;
  /** The names that were asked for, in order. */
  readonly asked: readonly string[];
}

/** Starts one. Names without records do not exist; one whose records are `silent` is never answered. */
export async function startDnsServer(
  records: Readonly<Record<string, readonly string[] | "silent">>,
): Promise<DnsServer> {
  const socket = createSocket("udp4");
  const asked: string[] = [];
  socket.on("message", (message, { address, port }) => {
    const { id, questions = [] } = decode(message);
    const name = questions[0]?.name ?? "";
    asked.push(name);
    const found = records[name];
    if (found === "silent") return;
    const answer = encode({
      type: "response",
      ...(id === undefined ? {} : { id }),
      // The lowest four bits are the result: 3 says that there is no such name.
      flags: found ? 0 : 3,
      questions,
      answers: (found ?? []).map((data) => ({ type: "TXT", name, ttl: 60, data })),
    });
    socket.send(answer, port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    async [Symbol.asyncDispose]() {
      const closed = once(socket, "close");
      socket.close();
      await closed;
    },
  };
}
