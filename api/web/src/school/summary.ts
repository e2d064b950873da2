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
  /** The kind of the devices that it is about: a freezer's temperature says nothing about a room's. */
  kind: string;
  /** Values young enough to be called current, in rising order; the others are not made part of any figure. */
  current: readonly Latest[];
  devices: number;
  median: number | null;
}

/** One summary for each measurement of each kind of device, the one that most devices send first. */
export function summarise(values: Iterable<Latest>, kindOf: (device: string) => string, nowMs: number): Summary[] {
  const groups = new Map<string, { measurement: string; kind: string; current: Latest[]; devices: number }>();
  for (const latest of values) {
    const kind = kindOf(latest.device);
    const key = `${latest.measurement}\n${kind}`;
    const group = groups.get(key) ?? { measurement: latest.measurement, kind, current: [], devices: 0 };
    groups.set(key, group);
    group.devices += 1;
    if (!isStale(latest.atMs, nowMs)) group.current.push(latest);
  }
  return Array.from(groups.values(), (group) => {
    group.current.sort((left, right) => left.value - right.value);
    return { ...group, median: median(group.current) };
  }).sort(
    (left, right) =>
      right.devices - left.devices || compare(left.kind, right.kind) || compare(left.measurement, right.measurement),
  );
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function median(rising: readonly Latest[]): number | null {
  const upper = rising[Math.floor(rising.length / 2)];
  const lower = rising[Math.floor((rising.length - 1) / 2)];
  return upper === undefined || lower === undefined ? null : (lower.value + upper.value) / 2;
}
