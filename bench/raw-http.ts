/** HTTP by hand, which costs the load of a benchmark less than any client. */
import type { Socket } from "node:net";

/** A POST of `body` to `/mcp` as it goes over the wire. @param headers - further header lines, each with its end */
export function post(headers: string, body: object): string {
  const text = JSON.stringify(body);
  return (
    `POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json, text/event-stream\r\n` +
    `content-type: application/json\r\n${headers}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
  );
}

/** The next answer on a connection, head and body. */
export function nextAnswer(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const end = (): void => {
      socket.off("data", take).off("close", lost).off("error", reject);
    };
    const lost = (): void => reject(new Error(`the connection ended: ${text}`));
    const take = (chunk: Buffer): void => {
      text += chunk.toString("latin1");
      if (!isWhole(text)) return;
      end();
      resolve(text);
    };
    socket.on("data", take).on("close", lost).on("error", reject);
  });
}

function isWhole(text: string): boolean {
  const head = text.indexOf("\r\n\r\n");
  if (head < 0) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1];
  return length === undefined ? text.endsWith("0\r\n\r\n") : text.length >= head + 4 + Number(length);
}
