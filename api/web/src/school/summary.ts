/** What is said about all series of one measurement together. Pure. */

import type { Latest } from "./series.ts";

/** After this long without a new one, a value is shown with its age. */
export const AGE_SHOWN_MS = 2 * 60_000;

/** After this long, it counts as no current value any more. */
export const STALE_MS = 15 * 60_000;

export function isStale(atMs: number, nowMs: number): boolean {
  return nowMs - atMs >= STALE_MS;
}

export interface Summary {
  measurement: string;
  /** Values young enough to be called current, in rising order; the others are not made part of any figure. */
  current: readonly Latest[];
  devices: number;
  median: number | null;
}

/** One summary for each measurement, the one that most devices send first. */
export function summarise(values: Iterable<Latest>, nowMs: number): Summary[] {
  const byMeasurement = new Map<string, { current: Latest[]; devices: number }>();
  for (const latest of values) {
    const group = byMeasurement.get(latest.measurement) ?? { current: [], devices: 0 };
    byMeasurement.set(latest.measurement, group);
    group.devices += 1;
    if (!isStale(latest.atMs, nowMs)) group.current.push(latest);
  }
  return Array.from(byMeasurement, ([measurement, { current, devices }]) => {
    current.sort((left, right) => left.value - right.value);
    return { measurement, current, devices, median: median(current) };
  }).sort((left, right) => right.devices - left.devices || (left.measurement < right.measurement ? -1 : 1));
}

function median(rising: readonly Latest[]): number | null {
  const upper = rising[Math.floor(rising.length / 2)];
  const lower = rising[Math.floor((rising.length - 1) / 2)];
  return upper === undefined || lower === undefined ? null : (lower.value + upper.value) / 2;
}
