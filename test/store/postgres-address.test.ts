/** The URL of a database, and what is shown of it. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { shownStore } from "../../src/config.ts";
import { parseAddress } from "../../src/store/postgres/address.ts";
import { temporaryFolder } from "../support/node-process.ts";

/** How a connection is protected: whether the certificate is checked, and whether its name is. */
function tls(url: string): unknown {
  const { ssl } = parseAddress(url);
  return ssl && [ssl.rejectUnauthorized, ssl.checkServerIdentity === undefined];
}

describe("the URL of a database", () => {
  it("is read as libpq reads it", () => {
    const a = parseAddress(
      "postgres://me%40home:p%3Aw%2F@db.example.org:6000/my%20queue?schema=other&pool_size=2",
    );
    assert.deepEqual(
      [a.user, a.password, a.host, a.port, a.database, a.schema, a.poolSize],
      ["me@home", "p:w/", "db.example.org", 6000, "my queue", "other", 2],
    );
    const socket = parseAddress("postgresql://me@/queue?host=%2Frun%2Fpostgresql");
    assert.deepEqual([socket.user, socket.host, socket.database], ["me", "/run/postgresql", "queue"]);
    const bare = parseAddress("postgres:///queue");
    assert.deepEqual([bare.host, bare.user, bare.password], [undefined, undefined, undefined]);
  });

  it("means TLS with a certificate that is checked, except on this machine or where it says otherwise", () => {
    assert.deepEqual(tls("postgres://db.example.org/q"), [true, true]);
    assert.deepEqual(tls("postgres://db.example.org/q?sslmode=verify-ca"), [true, false]);
    assert.deepEqual(tls("postgres://db.example.org/q?sslmode=require"), [false, false]);
    assert.equal(tls("postgres://db.example.org/q?sslmode=disable"), false);
    assert.equal(tls("postgres://127.0.0.1/q"), false);
    assert.equal(tls("postgres:///q?host=/run/postgresql"), false);
    assert.throws(() => parseAddress("postgres://h/q?sslmode=prefer"), { code: "E_INVALID_INPUT" });
  });

  it("is shown without user, password and parameters, also if they were not written as a URL wants them", () => {
    assert.equal(shownStore("postgres://h:1/q"), "postgres://h:1/q");
    assert.equal(shownStore("postgres://u:p@h:1/q?password=p"), "postgres://(hidden)@h:1/q?(hidden)");
    for (const odd of [
      "postgres://u:s3c@ret@h/q",
      "postgres://u:s3c/ret@h/q",
      "postgres://u:s3c?ret@h/q",
      "postgres://u:s3c#ret@h/q",
    ]) {
      assert.equal(shownStore(odd), "postgres://(hidden)@h/q");
    }
    assert.equal(shownStore("sqlite"), "sqlite");
  });

  it("takes the password from the first line of a password file that fits, if nobody else can read it", () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "pass");
    const lines = ["# comment", "other:*:*:*:no", "h:5432:q:u\\:x:a\\:b\\\\c", "*:*:*:*:last"];
    writeFileSync(file, `${lines.join("\n")}\n`, { mode: 0o600 });
    const passwordOf = (url: string): string | undefined => parseAddress(`${url}?passfile=${file}`).password;
    assert.equal(passwordOf("postgres://u%3Ax@h/q"), "a:b\\c");
    assert.equal(passwordOf("postgres://somebody@h/q"), "last");
    assert.equal(passwordOf("postgres://u:given@h/q"), "given");
    const open = join(folder.path, "open");
    writeFileSync(open, "*:*:*:*:p", { mode: 0o644 });
    assert.throws(() => parseAddress(`postgres://h/q?passfile=${open}`), { hint: /chmod 600/ });
  });
});
