/** Who came, as far as taps tell. Pure. */

import type { Tap } from "../gateway/shapes.ts";

export interface Attendance {
  /** People with at least one tap. */
  came: number;
  /** By the last tap of each person that tells a direction. */
  inside: number;
  left: number;
  /** People none of whose taps tells a direction: nobody can say whether they are in. */
  unclear: number;
  unknownCards: number;
}

/** `taps`: those of one day, in any order. */
export function attendance(taps: Iterable<Tap>): Attendance {
  const people = new Map<string, Tap | null>();
  const unknownCards = new Set<string>();
  for (const tap of taps) {
    if (tap.person === null) {
      unknownCards.add(tap.credential_ref);
      continue;
    }
    const last = people.get(tap.person.id) ?? null;
    const isNewer = tap.direction !== null && (last === null || tap.at >= last.at);
    people.set(tap.person.id, isNewer ? tap : last);
  }
  let inside = 0;
  let left = 0;
  for (const last of people.values()) {
    if (last?.direction === "in") inside += 1;
    else if (last?.direction === "out") left += 1;
  }
  return { came: people.size, inside, left, unclear: people.size - inside - left, unknownCards: unknownCards.size };
}

/** Newest first; taps of the same moment in the order in which they were stored. */
export function newestFirst(left: Tap, right: Tap): number {
  if (left.at !== right.at) return left.at < right.at ? 1 : -1;
  if (left.received_at !== right.received_at) return left.received_at < right.received_at ? 1 : -1;
  return left.id < right.id ? 1 : -1;
}

const FRESH_MS = 5 * 60_000;

/** True if a card that nobody knew was read within the last minutes. `taps`: newest first. */
export function hasFreshUnknown(taps: readonly Tap[], nowMs: number): boolean {
  for (const tap of taps) {
    if (nowMs - Date.parse(tap.at) > FRESH_MS) return false;
    if (tap.person === null) return true;
  }
  return false;
}
