/** Calls of the gateway's HTTP API with one key. */

import type { Page, ProblemDetails } from "./shapes.ts";

export type Query = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** The gateway answered with a problem (RFC 9457): `status` says whose fault it is, `detail` what to do. */
export class Refused extends Error {
  readonly status: number;
  readonly details: ProblemDetails;

  constructor(details: ProblemDetails) {
    const fields = (details.errors ?? []).map(({ field, detail }) => `${field}: ${detail}`);
    super([details.detail ?? details.title, ...fields].join("; "));
    this.name = "Refused";
    this.status = details.status;
    this.details = details;
  }
}

/** No answer came: the gateway is off, or the way to it is cut. */
export class Unreachable extends Error {
  constructor(cause: unknown) {
    super("the gateway cannot be reached", { cause });
    this.name = "Unreachable";
  }
}

const LARGEST_PAGE = 1000;

export class Client {
  readonly key: string;
  readonly #onKeyRefused: () => void;

  /** `onKeyRefused` is called when the gateway no longer knows the key. */
  constructor(key: string, onKeyRefused: () => void = () => undefined) {
    this.key = key;
    this.#onKeyRefused = onKeyRefused;
  }

  get<Answer>(path: string, query: Query = {}): Promise<Answer> {
    return this.#call<Answer>("GET", path, query);
  }

  /** `idempotencyKey`: the same key with the same body creates once, however often it is sent. */
  post<Answer>(path: string, body?: unknown, idempotencyKey?: string): Promise<Answer> {
    return this.#call<Answer>("POST", path, {}, body, idempotencyKey);
  }

  patch<Answer>(path: string, body: unknown): Promise<Answer> {
    return this.#call<Answer>("PATCH", path, {}, body);
  }

  delete(path: string): Promise<void> {
    return this.#call<void>("DELETE", path);
  }

  /** Reads a list page by page, at most `most` items of it. `isWhole` is false when there were more. */
  async list<Item>(path: string, query: Query = {}, most = 20_000): Promise<{ items: Item[]; isWhole: boolean }> {
    const items: Item[] = [];
    let after: string | null = null;
    do {
      const limit = Math.min(LARGEST_PAGE, most - items.length);
      const page: Page<Item> = await this.get<Page<Item>>(path, { ...query, limit, after });
      items.push(...page.items);
      after = page.next;
    } while (after !== null && items.length < most);
    return { items, isWhole: after === null };
  }

  async #call<Answer>(
    method: string,
    path: string,
    query: Query = {},
    body?: unknown,
    idempotencyKey?: string,
  ): Promise<Answer> {
    const headers: Record<string, string> = { Authorization: `Bearer ${this.key}`, Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (idempotencyKey !== undefined) headers["Idempotency-Key"] = idempotencyKey;
    let response: Response;
    try {
      response = await fetch(address(path, query), {
        method,
        headers,
        cache: "no-store",
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      throw new Unreachable(error);
    }
    if (response.status === 401) this.#onKeyRefused();
    if (!response.ok) throw new Refused(await problemOf(response));
    if (response.status === 204) return undefined as Answer;
    return (await response.json()) as Answer;
  }
}

export function address(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined) parameters.set(name, String(value));
  }
  const tail = parameters.size > 0 ? `?${parameters.toString()}` : "";
  return `/api/v1/${path}${tail}`;
}

/** A name for one wish to create something. `crypto.randomUUID` exists only on HTTPS, this everywhere. */
export function freshIdempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function problemOf(response: Response): Promise<ProblemDetails> {
  try {
    const details = (await response.json()) as ProblemDetails;
    return { ...details, status: response.status, title: details.title || response.statusText };
  } catch {
    return { type: "about:blank", title: response.statusText || `HTTP ${response.status}`, status: response.status };
  }
}
