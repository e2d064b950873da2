/** How the gateway is doing: its latest status, a short history of it, and the time by its clock. */

import { signal, type ReadonlySignal } from "@preact/signals";

import type { Status } from "../gateway/shapes.ts";

export interface Beat {
  atMs: number;
  framesPerS: number;
  commitMs: number | null;
}

/** Five minutes at one status a second. */
const KEPT_BEATS = 300;

export class Pulse {
  readonly #status = signal<Status | null>(null);
  readonly #beats = signal<readonly Beat[]>([]);
  readonly #now = signal(Date.now());
  #aheadMs = 0;
  #pending: Status | null = null;
  #timer: ReturnType<typeof setInterval> | null = null;

  get status(): ReadonlySignal<Status | null> {
    return this.#status;
  }

  /** Oldest first. */
  get beats(): ReadonlySignal<readonly Beat[]> {
    return this.#beats;
  }

  /** The gateway's time in ms since 1970, by the second: ages are told by it, not by this machine's clock. */
  get now(): ReadonlySignal<number> {
    return this.#now;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#tick(), 1_000);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  accept(status: Status): void {
    this.#pending = status;
    const nowMs = Date.parse(status.now);
    if (Number.isNaN(nowMs)) return;
    this.#aheadMs = nowMs - Date.now();
    const beat = { atMs: nowMs, framesPerS: status.ingest.frames_per_s, commitMs: status.ingest.commit_ms };
    this.#beats.value = [...this.#beats.peek().slice(1 - KEPT_BEATS), beat];
  }

  flush(): void {
    if (this.#pending === null) return;
    this.#status.value = this.#pending;
    this.#pending = null;
    this.#tick();
  }

  #tick(): void {
    this.#now.value = Date.now() + this.#aheadMs;
  }
}
