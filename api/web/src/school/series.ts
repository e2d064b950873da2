/** The newest value of every series, and those who want to hear every one of a device. */

import { signal, type ReadonlySignal, type Signal } from "@preact/signals";

import type { Reading } from "../gateway/shapes.ts";

export interface Latest {
  device: string;
  measurement: string;
  atMs: number;
  value: number;
  clock: Reading["clock"];
}

/** Hears the readings of one device as they come, a frame's worth at a time, in the order of arrival. */
export type Watcher = (readings: readonly Latest[]) => void;

/** More readings of one device within one frame than this are from a catch-up: the oldest of them are let go. */
const MOST_WATCHED = 5_000;

/** A summary of everything is renewed at most this often. */
const SUMMARY_MS = 80;

const NOTHING: readonly string[] = [];

export class SeriesBook {
  /** Grows whenever any value has changed, at most every 80 ms: for what is computed over all series. */
  readonly revision = signal(0);
  readonly isLoaded = signal(false);
  readonly #byKey = new Map<string, Signal<Latest>>();
  readonly #measurements = new Map<string, Signal<readonly string[]>>();
  readonly #pending = new Map<string, Latest>();
  readonly #watchers = new Map<string, Set<Watcher>>();
  readonly #watched = new Map<string, Latest[]>();
  #summaryTimer: ReturnType<typeof setTimeout> | null = null;
  #summarisedMs = 0;

  /** Takes a reading to be shown by the next `flush`; of one series only the newest in time is shown. */
  accept(reading: Reading): void {
    const latest: Latest = { ...reading, atMs: Date.parse(reading.at) };
    if (Number.isNaN(latest.atMs)) return;
    const key = keyOf(reading.device, reading.measurement);
    const waiting = this.#pending.get(key);
    if (waiting === undefined || waiting.atMs <= latest.atMs) this.#pending.set(key, latest);
    if (this.#watchers.has(reading.device)) {
      const heard = this.#watched.get(reading.device) ?? [];
      heard.push(latest);
      if (heard.length > MOST_WATCHED) heard.splice(0, heard.length - MOST_WATCHED);
      this.#watched.set(reading.device, heard);
    }
  }

  flush(): void {
    if (this.#pending.size > 0) {
      for (const [key, latest] of this.#pending) this.#show(key, latest);
      this.#pending.clear();
      this.#announceSummary();
    }
    for (const [device, heard] of this.#watched) {
      for (const watcher of this.#watchers.get(device) ?? []) watcher(heard);
    }
    this.#watched.clear();
  }

  /** The measurements that a device has sent, in alphabetical order. */
  measurements(device: string): ReadonlySignal<readonly string[]> {
    return this.#measurementsOf(device);
  }

  latest(device: string, measurement: string): ReadonlySignal<Latest> | undefined {
    return this.#byKey.get(keyOf(device, measurement));
  }

  /** Every series' newest value; read `revision` to follow it. */
  all(): Iterable<ReadonlySignal<Latest>> {
    return this.#byKey.values();
  }

  /** The moment of the newest value of a device, in ms; null when there is none. Does not follow the values. */
  newestMs(device: string): number | null {
    let newest: number | null = null;
    for (const measurement of this.#measurementsOf(device).peek()) {
      const at = this.latest(device, measurement)?.peek().atMs ?? null;
      if (at !== null && (newest === null || at > newest)) newest = at;
    }
    return newest;
  }

  /** Returns the call that ends the watching. */
  watch(device: string, watcher: Watcher): () => void {
    const watchers = this.#watchers.get(device) ?? new Set();
    watchers.add(watcher);
    this.#watchers.set(device, watchers);
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0) this.#watchers.delete(device);
    };
  }

  stop(): void {
    if (this.#summaryTimer !== null) clearTimeout(this.#summaryTimer);
  }

  #show(key: string, latest: Latest): void {
    const shown = this.#byKey.get(key);
    if (shown !== undefined) {
      if (shown.peek().atMs <= latest.atMs) shown.value = latest;
      return;
    }
    this.#byKey.set(key, signal(latest));
    const measurements = this.#measurementsOf(latest.device);
    measurements.value = [...measurements.peek(), latest.measurement].sort();
  }

  #measurementsOf(device: string): Signal<readonly string[]> {
    let measurements = this.#measurements.get(device);
    if (measurements === undefined) {
      measurements = signal(NOTHING);
      this.#measurements.set(device, measurements);
    }
    return measurements;
  }

  #announceSummary(): void {
    if (this.#summaryTimer !== null) return;
    const wait = this.#summarisedMs + SUMMARY_MS - performance.now();
    const announce = (): void => {
      this.#summaryTimer = null;
      this.#summarisedMs = performance.now();
      this.revision.value += 1;
    };
    if (wait <= 0) announce();
    else this.#summaryTimer = setTimeout(announce, wait);
  }
}

function keyOf(device: string, measurement: string): string {
  return `${device}\n${measurement}`;
}
