/**
 * A list of the API over all its pages, each asked for only if it has changed since.
 *
 * A page that GitHub answers with 304 costs nothing of the rate limit of a caller with a token. Whether there is a next
 * page is told by the `link` header, but also by a page being full: a page that filled up keeps its entity tag, and
 * with it the memory of being the last.
 */
import * as z from "zod";
import { UnreachableError } from "../../errors.ts";
import type { GithubApi } from "./api.ts";
import type { Headers } from "./failure.ts";
import { PER_PAGE } from "./limits.ts";

const NOT_MODIFIED = 304;

interface Page<T> {
  readonly etag: string | undefined;
  readonly next: string | undefined;
  readonly count: number;
  readonly items: readonly T[];
}

/** What a list is made of. */
export interface PagesOptions<T> {
  readonly api: GithubApi;
  readonly baseUrl: string;
  /** Path with a query; `per_page` and `page` are added. */
  readonly path: string;
  readonly maxPages: number;
  /** What is kept of an item; undefined keeps nothing. One item that is odd must not cost the others. */
  readonly keep: (item: unknown) => Promise<T | undefined> | T | undefined;
  /** Whether a thing that is gone is a `MissingError`. */
  readonly mayBeGone?: boolean | undefined;
}

/** A list that is read again and again. */
export class Pages<T> {
  readonly #options: PagesOptions<T>;
  #known = new Map<string, Page<T>>();

  constructor(options: PagesOptions<T>) {
    this.#options = options;
  }

  /**
   * Reads it.
   *
   * @param enough - stops after a page for which it holds; absent reads to the end
   * @returns what was kept, in the list's order, and whether pages beyond the most were left out
   */
  async read(enough: (items: readonly T[]) => boolean = () => false): Promise<{
    readonly items: readonly T[];
    readonly truncated: boolean;
  }> {
    const { path, maxPages } = this.#options;
    const pages = new Map<string, Page<T>>();
    let url: string | undefined = this.#url(path, 1);
    while (url !== undefined && pages.size < maxPages) {
      const page = await this.#page(url);
      pages.set(url, page);
      url = enough(page.items) ? undefined : this.#after(page, pages);
    }
    this.#known = pages;
    return { items: [...pages.values()].flatMap(({ items }) => items), truncated: url !== undefined };
  }

  /** Forgets what it knows, so that the next reading does not depend on it. */
  forget(): void {
    this.#known.clear();
  }

  #after(page: Page<T>, read: ReadonlyMap<string, unknown>): string | undefined {
    const next =
      page.next ?? (page.count >= PER_PAGE ? this.#url(this.#options.path, read.size + 1) : undefined);
    return next === undefined || read.has(next) ? undefined : next;
  }

  async #page(url: string): Promise<Page<T>> {
    const { api, keep, mayBeGone } = this.#options;
    const known = this.#known.get(url);
    const { status, headers, body } = await api.send({ path: url, etag: known?.etag, mayBeGone });
    if (status === NOT_MODIFIED && known) return { ...known, next: this.#next(headers) ?? known.next };
    const parsed = z.array(z.unknown()).safeParse(body);
    if (!parsed.success) throw new UnreachableError("GitHub answered with something else than a list");
    const items: T[] = [];
    for (const item of parsed.data) {
      const kept = await keep(item);
      if (kept !== undefined) items.push(kept);
    }
    const etag = headers["etag"];
    return {
      etag: etag === undefined ? undefined : String(etag),
      next: this.#next(headers),
      count: parsed.data.length,
      items,
    };
  }

  #url(path: string, page: number): string {
    return `${this.#options.baseUrl}${path}${path.includes("?") ? "&" : "?"}per_page=${PER_PAGE}&page=${page}`;
  }

  /** The next page after RFC 8288. One that is elsewhere is not followed: the request carries the token. */
  #next(headers: Headers): string | undefined {
    const match = /<([^<>]+)>\s*;[^,]*\brel="next"/.exec(String(headers["link"] ?? ""));
    const url = match?.[1];
    if (url === undefined || !URL.canParse(url)) return undefined;
    return new URL(url).origin === new URL(this.#options.baseUrl).origin ? url : undefined;
  }
}
