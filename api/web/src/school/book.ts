/** Things by their id: filled by a list, kept current by live events, shown at most once a frame. */

import { signal, type ReadonlySignal } from "@preact/signals";

import { Refused, Unreachable } from "../gateway/client.ts";

export type Loading =
  { phase: "loading" } | { phase: "ready" } | { phase: "forbidden" } | { phase: "failed"; detail: string | null };

export class Book<Item extends { id: string }> {
  readonly #items = signal<ReadonlyMap<string, Item>>(new Map());
  readonly #loading = signal<Loading>({ phase: "loading" });
  readonly #pending = new Map<string, Item>();
  #sinceAsked: Map<string, Item> | null = null;
  #asked = 0;

  get items(): ReadonlySignal<ReadonlyMap<string, Item>> {
    return this.#items;
  }

  get loading(): ReadonlySignal<Loading> {
    return this.#loading;
  }

  /** Takes an item to be shown by the next `flush`. */
  accept(item: Item): void {
    this.#pending.set(item.id, item);
  }

  /** Shows what was accepted since the last call. */
  flush(): void {
    if (this.#pending.size === 0) return;
    const items = new Map(this.#items.value);
    for (const [id, item] of this.#pending) {
      items.set(id, item);
      this.#sinceAsked?.set(id, item);
    }
    this.#pending.clear();
    this.#items.value = items;
  }

  /** Shows an item at once: an answer to what the reader did. */
  put(item: Item): void {
    this.accept(item);
    this.flush();
  }

  remove(id: string): void {
    this.#pending.delete(id);
    this.#sinceAsked?.delete(id);
    const items = new Map(this.#items.value);
    if (items.delete(id)) this.#items.value = items;
  }

  /**
   * Replaces everything by what `ask` brings. What came live while it was under way is newer than the list may be,
   * so it is laid over it. Of two loads at a time the later counts. A failure keeps what is shown, and says so.
   */
  async load(ask: () => Promise<Item[]>): Promise<void> {
    const number = ++this.#asked;
    this.#sinceAsked = new Map();
    if (this.#loading.value.phase !== "ready") this.#loading.value = { phase: "loading" };
    try {
      const list = await ask();
      if (number !== this.#asked) return;
      const items = new Map(list.map((item) => [item.id, item]));
      for (const [id, item] of this.#sinceAsked) items.set(id, item);
      this.#items.value = items;
      this.#loading.value = { phase: "ready" };
    } catch (error) {
      if (number !== this.#asked) return;
      this.#loading.value = failure(error);
    } finally {
      if (number === this.#asked) this.#sinceAsked = null;
    }
  }
}

/** What to show instead of a list that did not come. */
export function failure(error: unknown): Loading {
  if (error instanceof Refused) {
    return error.status === 403 ? { phase: "forbidden" } : { phase: "failed", detail: error.message };
  }
  if (error instanceof Unreachable) return { phase: "failed", detail: null };
  throw error;
}
