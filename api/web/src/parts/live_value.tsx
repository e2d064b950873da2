/** The newest value of one series. It renders when that series changes, and nothing else does. */

import { useSchool, useWords } from "../desk.ts";
import { AGE_SHOWN_MS, isStale } from "../school/summary.ts";
import { label, valueWithUnit } from "../texts/measurements.ts";
import { useDerived } from "./derived.ts";

interface LiveValueProps {
  device: string;
  measurement: string;
  /** The connection of the device is known to be down, so its values are from before. */
  isOffline?: boolean;
  /** Without a name where the place already says it. */
  isNamed?: boolean;
}

export function LiveValue({ device, measurement, isOffline = false, isNamed = true }: LiveValueProps) {
  const words = useWords();
  const { f, t } = words;
  const { series, pulse } = useSchool();
  const latest = series.latest(device, measurement);
  const age = useDerived(() => {
    if (latest === undefined) return "";
    const isRecent = pulse.now.value - latest.value.atMs < AGE_SHOWN_MS;
    return isRecent && !isOffline ? "" : f.age(latest.value.atMs, pulse.now.value);
  }, [latest, isOffline, f]);
  const hasGoneStale = useDerived(
    () => isOffline || (latest !== undefined && isStale(latest.value.atMs, pulse.now.value)),
    [latest, isOffline],
  );
  const name = label(measurement, words);
  if (latest === undefined) return <span class="value dim">{t.common.no_data}</span>;
  /** Written when somebody points at it, not at every value. */
  const explain = (element: HTMLElement): void => {
    element.title = `${name} · ${f.exact(latest.peek().atMs)}`;
  };
  return (
    <span class={hasGoneStale.value ? "value stale" : "value"} onMouseEnter={(event) => explain(event.currentTarget)}>
      {isNamed ? <span class="value-name">{name}</span> : null}
      <b>{valueWithUnit(measurement, latest.value.value, words)}</b>
      {age.value === "" ? null : <small>{age.value}</small>}
    </span>
  );
}
