/** The way to a PostgreSQL server that speaks TLS, and to those that only pretend to be it. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Client } from "pg";
import { generate } from "selfsigned";
import { errorFacts } from "../../src/errors.ts";
import { openPostgresStores } from "../../src/store/index.ts";
import { type TemporaryFolder, temporaryFolder } from "../support/node-process.ts";
import { noPostgres, type PostgresServer, startPostgres } from "../support/postgres.ts";

type Pems = Awaited<ReturnType<typeof generate>>;

/** An authority, or a server's certificate for `localhost` by one. */
function certificate(name: string, authority?: Pems): Promise<Pems> {
  const signed = authority === undefined ? {} : { ca: { key: authority.private, cert: authority.cert } };
  const isAuthority = authority === undefined;
  return generate([{ name: "commonName", value: name }], {
    keyType: "ec",
    algorithm: "sha256",
    extensions: [
      { name: "basicConstraints", cA: isAuthority, critical: true },
      ...(isAuthority
        ? []
        : [{ name: "subjectAltName" as const, altNames: [{ type: 2 as const, value: name }] }]),
    ],
    ...signed,
  });
}

describe("a PostgreSQL server with TLS", { skip: noPostgres, timeout: 120_000 }, () => {
  let server: PostgresServer | undefined;
  let folder: TemporaryFolder | undefined;
  const file = (name: string): string => join(folder?.path ?? "", name);

  before(async () => {
    folder = temporaryFolder();
    const [ours, others] = await Promise.all([certificate("our CA"), certificate("another CA")]);
    const own = await certificate("localhost", ours);
    writeFileSync(file("ours.pem"), ours.cert);
    writeFileSync(file("others.pem"), others.cert);
    const settings = ["ssl=on", "ssl_cert_file=server.pem", "ssl_key_file=server.key"];
    server = await startPostgres(settings, { "server.pem": own.cert, "server.key": own.private });
  });
  after(async () => {
    await server?.remove();
    folder?.[Symbol.dispose]();
  });

  const url = (host: string, mode: string, authority?: string): string => {
    const at = new URL(server?.tcpUrl("tls") ?? "");
    at.hostname = host;
    at.searchParams.set("sslmode", mode);
    at.searchParams.set("application_name", "tls-test");
    if (authority !== undefined) at.searchParams.set("sslrootcert", file(authority));
    return at.href;
  };

  /** Whether the connections of an open store are encrypted. */
  const encrypted = async (address: string): Promise<boolean> => {
    await using stores = await openPostgresStores({ url: address });
    await stores.tasks.stats(Date.now());
    const client = new Client({ connectionString: server?.url() ?? "" });
    await client.connect();
    try {
      const { rows } = await client.query(
        "SELECT bool_and(s.ssl) AS all_of_them FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'tls-test'",
      );
      return rows[0]?.all_of_them === true;
    } finally {
      await client.end();
    }
  };

  const refused = async (address: string, why: RegExp): Promise<void> => {
    await assert.rejects(openPostgresStores({ url: address }), (error: Error & { hint?: string }) => {
      const { code, message } = errorFacts(error);
      assert.equal(code, "E_STORE_ACCESS", message);
      assert.match(message, why);
      const said = JSON.stringify([message, error.hint, String(error.cause)]);
      for (const secret of [server?.password ?? "", encodeURIComponent(server?.password ?? "")])
        assert.ok(!said.includes(secret), said);
      return true;
    });
  };

  it("is trusted if its certificate is of the named authority and for the host of the URL", async () => {
    assert.equal(await encrypted(url("localhost", "verify-full", "ours.pem")), true);
  });

  it("is refused if its certificate is for another host, unless only the authority counts", async () => {
    await refused(url("127.0.0.1", "verify-full", "ours.pem"), /does not match/);
    assert.equal(await encrypted(url("127.0.0.1", "verify-ca", "ours.pem")), true);
  });

  it("is refused if its certificate is of another authority, or of one that is not named", async () => {
    await refused(url("localhost", "verify-full", "others.pem"), /certificate/);
    await refused(url("localhost", "verify-ca", "others.pem"), /certificate/);
    await refused(url("localhost", "verify-full"), /certificate/);
    // As with libpq: a named authority counts with `require`, too.
    await refused(url("localhost", "require", "others.pem"), /certificate/);
  });

  it("is talked to in secret but believed with sslmode=require", async () => {
    assert.equal(await encrypted(url("127.0.0.1", "require")), true);
  });
});
