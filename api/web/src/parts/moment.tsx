/** Moments and ages, by the gateway's clock. */

import { useSchool, useWords } from "../desk.ts";
import { useDerived } from "./derived.ts";

/** A moment as a time of day, everything about it in the tooltip. */
export function Moment({ at }: { at: string }) {
  const { f } = useWords();
  const { pulse } = useSchool();
  const atMs = Date.parse(at);
  return (
    <time dateTime={at} title={f.exact(atMs)}>
      {f.moment(atMs, pulse.now.peek())}
    </time>
  );
}

/** How long ago, kept current; `never` when there is no moment. */
export function Age({ atMs }: { atMs: number | null }) {
  const { f, t } = useWords();
  const { pulse } = useSchool();
  const words = useDerived(
    () => (atMs === null ? t.common.never : f.age(Math.min(atMs, pulse.now.value), pulse.now.value)),
    [atMs, f],
  );
  if (atMs === null) return <span class="dim">{words.value}</span>;
  return (
    <time dateTime={new Date(atMs).toISOString()} title={f.exact(atMs)}>
      {words.value}
    </time>
  );
}
