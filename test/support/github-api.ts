/**
 * The part of GitHub's REST API that a registry uses, on loopback, after its public documentation: issues and issue
 * comments, tokens and permissions, entity tags, paging by `link`, rate limits, and the ways in which it fails.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { text as textOf } from "node:stream/consumers";
import * as z from "zod";

/** An issue, or a pull request, which the API lists among them. */
export interface FakeIssue {
  readonly number: number;
  readonly title: string;
  state: "open" | "closed";
  locked: boolean;
  readonly pullRequest: boolean;
}

/** A comment below an issue. */
export interface FakeComment {
  readonly id: number;
  readonly issue: number;
  body: string;
  readonly user: string | null;
  readonly association: string;
}

/** A request as it came in. */
export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly status: number;
}

/** What happens to a request instead of an answer, or to its answer. */
export interface Fault {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Carry it out, and then lose the answer. */
  readonly loseAnswer?: boolean;
  /** Cut the JSON of the real answer in half, with a fitting length. */
  readonly truncate?: boolean;
  /** Break the connection in the middle of the answer. */
  readonly breakOff?: boolean;
  /** Wait for this before answering. */
  readonly until?: Promise<unknown>;
}

interface Token {
  readonly login: string;
  readonly write: boolean;
  readonly association: string;
  remaining: number;
}

interface Reply {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const bodySchema = z.record(z.string(), z.unknown());
const LIMIT = 5000;
const ANONYMOUS_LIMIT = 60;
const HOUR_S = 3600;
const MAX_BODY_CHARS = 65_536;

const notFound: Reply = {
  status: 404,
  body: { message: "Not Found", documentation_url: "https://docs.github.com/rest" },
};
const gone: Reply = { status: 410, body: { message: "Issues has been disabled in this repository." } };
const badToken: Reply = { status: 401, body: { message: "Bad credentials" } };
const noAccess: Reply = {
  status: 403,
  body: { message: "Resource not accessible by personal access token" },
};
const locked: Reply = {
  status: 403,
  body: { message: "Unable to create comment because issue is locked." },
};

/** GitHub, as far as a registry can tell. */
export class GithubServer {
  readonly repository: string = "o/r";
  readonly issues: FakeIssue[] = [];
  /** Files of the repository, by path. */
  readonly files: Map<string, string> = new Map();
  readonly comments: FakeComment[] = [];
  readonly requests: FakeRequest[] = [];
  readonly tokens: Map<string, Token> = new Map();
  isPublic = true;
  hasIssues = true;
  anonymousRemaining: number = ANONYMOUS_LIMIT;
  /** The server's clock, in milliseconds since 1970. */
  now: () => number = Date.now;
  readonly #faults: { readonly fault: Fault; readonly match: RegExp; left: number }[] = [];
  readonly #server: Server;
  #nextComment = 1;
  #watchers = new Set<() => void>();
  #active = 0;

  constructor() {
    this.#server = createServer((request, response) => {
      this.#active += 1;
      response.once("close", () => (this.#active -= 1));
      void this.#serve(request, response);
    });
  }

  /** Whether no request is being answered. */
  get isIdle(): boolean {
    return this.#active === 0;
  }

  /** Starts it. */
  static async open(): Promise<GithubServer> {
    const github = new GithubServer();
    github.#server.listen(0, "127.0.0.1");
    await once(github.#server, "listening");
    return github;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("not listening");
    return `http://127.0.0.1:${address.port}`;
  }

  addToken(
    token: string,
    login: string,
    { write = true, association = "COLLABORATOR" }: { write?: boolean; association?: string } = {},
  ): string {
    this.tokens.set(token, { login, write, association, remaining: LIMIT });
    return token;
  }

  addIssue(title: string, more: Partial<FakeIssue> = {}): FakeIssue {
    const number = Math.max(0, ...this.issues.map((issue) => issue.number)) + 1;
    const issue: FakeIssue = { number, title, state: "open", locked: false, pullRequest: false, ...more };
    this.issues.push(issue);
    return issue;
  }

  addComment(issue: number, body: string, more: Partial<FakeComment> = {}): FakeComment {
    const comment = { id: this.#nextComment++, issue, body, user: "owner", association: "OWNER", ...more };
    this.comments.push(comment);
    this.#changed();
    return comment;
  }

  /** Lets the next `times` requests whose `METHOD /path` matches meet a fault. */
  fail(match: RegExp, fault: Fault, times = 1): void {
    this.#faults.push({ fault, match, left: times });
  }

  /** Requests so far whose `METHOD /path` matches. */
  count(match: RegExp): number {
    return this.requests.filter(({ method, path }) => match.test(`${method} ${path}`)).length;
  }

  /** Waits until `condition` holds; looks whenever a request was answered. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#watchers.add(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://x");
    const { method = "GET" } = request;
    const name = `${method} ${url.pathname}`;
    const sent = await textOf(request);
    const planned = this.#faults.find(({ match, left }) => left > 0 && match.test(name));
    const fault = planned?.fault;
    if (planned) planned.left -= 1;
    if (fault?.until) await fault.until;
    const reply: Reply =
      fault?.status === undefined
        ? this.#answer(request, url, sent)
        : { status: fault.status, body: fault.body ?? { message: "planned" }, headers: fault.headers ?? {} };
    this.requests.push({ method, path: url.pathname + url.search, status: reply.status });
    if (fault?.loseAnswer) response.destroy();
    else this.#reply(request, response, reply, fault);
    this.#changed();
  }

  #reply(request: IncomingMessage, response: ServerResponse, reply: Reply, fault: Fault | undefined): void {
    const json = reply.body === undefined ? "" : JSON.stringify(reply.body);
    // Of the body alone: the real one has been seen to keep its tag while the link header changed.
    const etag = `W/"${createHash("sha256").update(json).digest("hex")}"`;
    const unchanged = reply.status === 200 && request.headers["if-none-match"] === etag;
    if (reply.status >= 300 || !unchanged || !this.#tokenOf(request)) this.#spend(request);
    const headers = {
      date: new Date(this.now()).toUTCString(),
      ...(json !== "" && { "content-type": "application/json; charset=utf-8" }),
      ...(request.method === "GET" && reply.status === 200 && { etag }),
      ...this.#limits(request),
      ...reply.headers,
    };
    if (unchanged) {
      const last = this.requests.pop();
      if (last) this.requests.push({ ...last, status: 304 });
      response.writeHead(304, headers).end();
    } else if (fault?.breakOff) {
      response.writeHead(reply.status, { ...headers, "content-length": json.length });
      response.write(json.slice(0, json.length / 2), () => response.destroy());
    } else {
      const end = fault?.truncate ? Math.floor(json.length / 2) : undefined;
      response.writeHead(reply.status, headers).end(json.slice(0, end));
    }
  }

  #answer(request: IncomingMessage, url: URL, sent: string): Reply {
    const token = this.#tokenOf(request);
    if (request.headers.authorization !== undefined && !token) return badToken;
    const remaining = token?.remaining ?? this.anonymousRemaining;
    if (remaining <= 0) return { status: 403, body: { message: "API rate limit exceeded" } };
    const [, repos, owner, name, issues, ...rest] = url.pathname.split("/");
    // Links of the real API name the repository by a number.
    const isHere = (repos === "repos" && `${owner}/${name}` === this.repository) || repos === "repositories";
    const parts = repos === "repositories" ? [name, issues, ...rest].slice(1) : rest;
    const section = repos === "repositories" ? name : issues;
    if (isHere && (token || this.isPublic) && section === "contents") return this.#list(parts.join("/"));
    if (isHere && (token || this.isPublic) && section === "git") return this.#blob(parts[1]);
    if (!isHere || (!token && !this.isPublic) || section !== "issues") return notFound;
    if (!this.hasIssues) return gone;
    const method = request.method ?? "GET";
    if (method === "GET") return this.#read(url, parts);
    // As the real one: a token without the permission, and no token, are told apart.
    if (!token) return { status: 401, body: { message: "Requires authentication" } };
    if (!token.write) return noAccess;
    const body = sent === "" ? {} : bodySchema.safeParse(JSON.parse(sent)).data;
    return this.#write(method, parts, body ?? {}, token);
  }

  /** What the API says about a folder: files by name, with the hash of each. */
  #list(folder: string): Reply {
    const inside = [...this.files].filter(([path]) => path.startsWith(`${folder}/`));
    if (inside.length === 0) return notFound;
    const entry = ([path, text]: readonly [string, string]): object => {
      const name = path.slice(folder.length + 1);
      return { name, path, sha: blobSha(text), size: Buffer.byteLength(text), type: "file" };
    };
    return { status: 200, body: inside.map(entry) };
  }

  #blob(sha: string | undefined): Reply {
    const text = [...this.files.values()].find((one) => blobSha(one) === sha);
    if (text === undefined) return notFound;
    const content = Buffer.from(text).toString("base64").replaceAll(/.{60}/g, "$&\n");
    return { status: 200, body: { sha, content, encoding: "base64" } };
  }

  #read(url: URL, parts: readonly (string | undefined)[]): Reply {
    const [number, comments] = parts;
    if (number === undefined) {
      const wanted = url.searchParams.get("state") ?? "open";
      const listed = this.issues.filter(({ state }) => wanted === "all" || state === wanted);
      const up = url.searchParams.get("direction") === "asc";
      return this.#page(url, (up ? listed : listed.toReversed()).map(issueJson));
    }
    const issue = this.issues.find((one) => one.number === Number(number));
    if (!issue || comments !== "comments") return notFound;
    return this.#page(
      url,
      this.comments.filter((comment) => comment.issue === issue.number).map(commentJson),
    );
  }

  #write(
    method: string,
    parts: readonly (string | undefined)[],
    body: Readonly<Record<string, unknown>>,
    token: Token,
  ): Reply {
    const [first, second] = parts;
    if (first === undefined) return this.#createIssue(body);
    if (first === "comments") return this.#changeComment(method, Number(second), body, token);
    const issue = this.issues.find(({ number }) => number === Number(first));
    if (!issue) return notFound;
    if (second === undefined) {
      if (body["state"] === "closed" || body["state"] === "open") issue.state = body["state"];
      return { status: 200, body: issueJson(issue) };
    }
    if (issue.locked && token.association === "NONE") return locked;
    const text = body["body"];
    if (typeof text !== "string" || text === "" || text.length > MAX_BODY_CHARS)
      return invalid("IssueComment");
    const { login: user, association } = token;
    return { status: 201, body: commentJson(this.addComment(issue.number, text, { user, association })) };
  }

  #createIssue({ title }: Readonly<Record<string, unknown>>): Reply {
    if (typeof title !== "string" || title === "") return invalid("Issue");
    return { status: 201, body: issueJson(this.addIssue(title)) };
  }

  #changeComment(
    method: string,
    id: number,
    { body }: Readonly<Record<string, unknown>>,
    token: Token,
  ): Reply {
    const at = this.comments.findIndex((comment) => comment.id === id);
    const comment = this.comments[at];
    if (!comment) return notFound;
    if (comment.user !== token.login && token.association === "NONE")
      return { status: 403, body: { message: "Must have admin rights to Repository." } };
    if (method === "DELETE") {
      this.comments.splice(at, 1);
      return { status: 204 };
    }
    if (typeof body !== "string" || body === "") return invalid("IssueComment");
    comment.body = body;
    return { status: 200, body: commentJson(comment) };
  }

  #page(url: URL, items: readonly unknown[]): Reply {
    const size = Math.min(Number(url.searchParams.get("per_page") ?? 30), 100);
    const page = Number(url.searchParams.get("page") ?? 1);
    const last = Math.max(1, Math.ceil(items.length / size));
    const link = (to: number, rel: string): string => {
      const target = new URL(url.pathname.replace(/^\/repos\/[^/]+\/[^/]+/, "/repositories/1"), this.url);
      for (const [key, value] of url.searchParams) target.searchParams.set(key, value);
      target.searchParams.set("page", String(to));
      return `<${target.href}>; rel="${rel}"`;
    };
    const links = [
      ...(page > 1 ? [link(page - 1, "prev")] : []),
      ...(page < last ? [link(page + 1, "next"), link(last, "last")] : []),
    ];
    const body = items.slice((page - 1) * size, page * size);
    return { status: 200, body, headers: links.length > 0 ? { link: links.join(", ") } : {} };
  }

  #tokenOf(request: IncomingMessage): Token | undefined {
    const match = /^(?:bearer|token) (\S+)$/i.exec(request.headers.authorization ?? "");
    return this.tokens.get(match?.[1] ?? "");
  }

  #spend(request: IncomingMessage): void {
    const token = this.#tokenOf(request);
    if (token) token.remaining = Math.max(0, token.remaining - 1);
    else this.anonymousRemaining = Math.max(0, this.anonymousRemaining - 1);
  }

  #limits(request: IncomingMessage): Readonly<Record<string, string>> {
    const token = this.#tokenOf(request);
    return {
      "x-ratelimit-limit": String(token ? LIMIT : ANONYMOUS_LIMIT),
      "x-ratelimit-remaining": String(token?.remaining ?? this.anonymousRemaining),
      "x-ratelimit-reset": String(Math.floor(this.now() / 1000) + HOUR_S),
      "x-ratelimit-resource": "core",
    };
  }

  #changed(): void {
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const watcher of watchers) watcher();
  }
}

function invalid(resource: string): Reply {
  const errors = [{ resource, code: "missing_field", field: "body" }];
  return { status: 422, body: { message: "Validation Failed", errors } };
}

function issueJson({ number, title, state, pullRequest }: FakeIssue): unknown {
  return { number, title, state, ...(pullRequest && { pull_request: { url: "https://x" } }) };
}

function commentJson({ id, body, user, association }: FakeComment): unknown {
  return { id, body, user: user === null ? null : { login: user }, author_association: association };
}

/** As git names a file's content. */
function blobSha(text: string): string {
  return createHash("sha1")
    .update(`blob ${Buffer.byteLength(text)}\0${text}`)
    .digest("hex");
}
