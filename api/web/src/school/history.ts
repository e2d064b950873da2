/** The course of one series over a range of time, kept moving by live readings. Pure; times in ms since 1970. */

import type { Bucket, Reading } from "../gateway/shapes.ts";
import type { RangeName } from "../route.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

export type Every = "10s" | "5m" | "1h";

export const EVERY_MS: Readonly<Record<Every, number>> = { "10s": 10 * SECOND_MS, "5m": 5 * MINUTE_MS, "1h": HOUR_MS };

/** `every`: null asks for the readings as they were stored. */
export const RANGES: Readonly<Record<RangeName, { spanMs: number; every: Every | null }>> = {
  "1h": { spanMs: HOUR_MS, every: null },
  "24h": { spanMs: 24 * HOUR_MS, every: "5m" },
  "7d": { spanMs: 7 * 24 * HOUR_MS, every: "1h" },
};

/** More raw readings than this in one range are asked for as means of 10 seconds instead. */
export const MOST_RAW = 6_000;

export interface Point {
  atMs: number;
  value: number;
  low: number;
  high: number;
  count: number;
}

/** Columns for drawing, times rising. null is a gap: nothing was heard there, so nothing is drawn. */
export interface Columns {
  atS: number[];
  value: (number | null)[];
  low: (number | null)[];
  high: (number | null)[];
}

export class Trace {
  readonly everyMs: number | null;
  readonly spanMs: number;
  #points: Point[];

  constructor(spanMs: number, everyMs: number | null, points: readonly Point[]) {
    this.spanMs = spanMs;
    this.everyMs = everyMs;
    this.#points = [...points].sort((left, right) => left.atMs - right.atMs);
  }

  get points(): readonly Point[] {
    return this.#points;
  }

  /** Takes one live reading. Into a bucket of the past it goes as well: late is not lost. */
  add(atMs: number, value: number): void {
    const startMs = this.everyMs === null ? atMs : Math.floor(atMs / this.everyMs) * this.everyMs;
    let index = this.#points.length;
    while (index > 0 && (this.#points[index - 1] as Point).atMs > startMs) index -= 1;
    const before = this.#points[index - 1];
    if (before !== undefined && before.atMs === startMs) {
      this.#points[index - 1] = this.everyMs === null ? point(startMs, value) : joined(before, value);
    } else {
      this.#points.splice(index, 0, point(startMs, value));
    }
  }

  /** Lets go of what is older than the range. */
  trim(nowMs: number): void {
    const oldestMs = nowMs - this.spanMs - (this.everyMs ?? 0);
    const first = this.#points.findIndex((kept) => kept.atMs >= oldestMs);
    if (first !== 0) this.#points.splice(0, first < 0 ? this.#points.length : first);
  }

  columns(): Columns {
    const columns: Columns = { atS: [], value: [], low: [], high: [] };
    const gapMs = this.#gapMs();
    let beforeMs: number | null = null;
    for (const { atMs, value, low, high } of this.#points) {
      if (beforeMs !== null && atMs - beforeMs > gapMs) push(columns, (beforeMs + atMs) / 2, null, null, null);
      push(columns, atMs, value, low, high);
      beforeMs = atMs;
    }
    return columns;
  }

  /** A pause longer than this is no course but a gap: three times what is usual for this series, at least a minute. */
  #gapMs(): number {
    if (this.everyMs !== null) return Math.max(1.5 * this.everyMs, 3 * this.#usualPauseMs());
    return Math.max(MINUTE_MS, 3 * this.#usualPauseMs());
  }

  #usualPauseMs(): number {
    const pauses: number[] = [];
    for (let index = 1; index < this.#points.length; index += 1) {
      pauses.push((this.#points[index] as Point).atMs - (this.#points[index - 1] as Point).atMs);
    }
    pauses.sort((left, right) => left - right);
    return pauses[Math.floor(pauses.length / 2)] ?? 0;
  }
}

/** Raw readings, or buckets of means together with those of the lowest and the highest values, by measurement. */
export function tracesOf(
  range: RangeName,
  every: Every | null,
  means: readonly (Reading | Bucket)[],
  lows: readonly Bucket[] = [],
  highs: readonly Bucket[] = [],
): Map<string, Trace> {
  const lowest = new Map(lows.map((bucket) => [`${bucket.measurement}\n${bucket.at}`, bucket.value]));
  const highest = new Map(highs.map((bucket) => [`${bucket.measurement}\n${bucket.at}`, bucket.value]));
  const points = new Map<string, Point[]>();
  for (const reading of means) {
    const key = `${reading.measurement}\n${reading.at}`;
    const own = points.get(reading.measurement) ?? [];
    points.set(reading.measurement, own);
    own.push({
      atMs: Date.parse(reading.at),
      value: reading.value,
      low: lowest.get(key) ?? reading.value,
      high: highest.get(key) ?? reading.value,
      count: "count" in reading ? reading.count : 1,
    });
  }
  const { spanMs } = RANGES[range];
  const everyMs = every === null ? null : EVERY_MS[every];
  return new Map(Array.from(points, ([measurement, own]) => [measurement, new Trace(spanMs, everyMs, own)]));
}

function point(atMs: number, value: number): Point {
  return { atMs, value, low: value, high: value, count: 1 };
}

function joined(bucket: Point, value: number): Point {
  return {
    atMs: bucket.atMs,
    value: (bucket.value * bucket.count + value) / (bucket.count + 1),
    low: Math.min(bucket.low, value),
    high: Math.max(bucket.high, value),
    count: bucket.count + 1,
  };
}

function push(columns: Columns, atMs: number, value: number | null, low: number | null, high: number | null): void {
  columns.atS.push(atMs / 1_000);
  columns.value.push(value);
  columns.low.push(low);
  columns.high.push(high);
}
