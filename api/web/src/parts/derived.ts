/** A computed signal that is made anew when what the component was given changes. */

import { computed, type ReadonlySignal } from "@preact/signals";
import { useMemo } from "preact/hooks";

export function useDerived<Value>(compute: () => Value, inputs: readonly unknown[]): ReadonlySignal<Value> {
  return useMemo(() => computed(compute), inputs as unknown[]);
}
