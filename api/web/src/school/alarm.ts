/** The order of alerts, and what they are about. Pure. */

import type { Alert, AlertState, Rule, Severity } from "../gateway/shapes.ts";

const STATE_ORDER: readonly AlertState[] = ["firing", "unknown", "acknowledged", "pending", "resolved"];
const SEVERITY_ORDER: readonly Severity[] = ["critical", "warning", "info"];

export function isOpen(alert: Alert): boolean {
  return alert.state !== "resolved";
}

/** What fires before what nobody can say, before what is looked after; then by severity; then the newest. */
export function mostUrgentFirst(left: Alert, right: Alert): number {
  return (
    STATE_ORDER.indexOf(left.state) - STATE_ORDER.indexOf(right.state) ||
    SEVERITY_ORDER.indexOf(left.severity) - SEVERITY_ORDER.indexOf(right.severity) ||
    (left.since < right.since ? 1 : left.since > right.since ? -1 : left.id < right.id ? -1 : 1)
  );
}

/** Splits `<device>/<measurement>`; a silent device has no measurement. */
export function subjectOf(alert: Alert): { device: string; measurement: string | null } {
  const slash = alert.subject.lastIndexOf("/");
  return slash < 0
    ? { device: alert.subject, measurement: null }
    : { device: alert.subject.slice(0, slash), measurement: alert.subject.slice(slash + 1) };
}

/** Why the clearing value of a threshold rule cannot be, null if it can: it lies on the safe side of the limit. */
export function clearingProblem(
  side: "above" | "below",
  limit: number,
  clear: number,
): "clear_above" | "clear_below" | null {
  if (side === "above" && clear > limit) return "clear_above";
  if (side === "below" && clear < limit) return "clear_below";
  return null;
}

export function sideOf(rule: Pick<Rule, "below">): "above" | "below" {
  return rule.below === null || rule.below === undefined ? "above" : "below";
}
