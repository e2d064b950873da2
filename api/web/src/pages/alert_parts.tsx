/** What every list of alerts shows of one alert. */

import { useSignal } from "@preact/signals";

import { useDesk, useSchool, useWords } from "../desk.ts";
import type { Alert } from "../gateway/shapes.ts";
import { Age } from "../parts/moment.tsx";
import { to } from "../route.ts";
import { subjectOf } from "../school/alarm.ts";
import { placeBesideName } from "../school/presence.ts";
import { label, valueWithUnit } from "../texts/measurements.ts";

export function AlertSubject({ alert }: { alert: Alert }) {
  const words = useWords();
  const school = useSchool();
  const { device, measurement } = subjectOf(alert);
  const place = placeBesideName(school.devices.items.value.get(device));
  return (
    <span>
      <a href={to.device(device)}>{school.deviceName(device)}</a>
      {place ? <span class="dim">, {place}</span> : null}
      {measurement === null ? null : <span class="dim"> · {label(measurement, words)}</span>}
    </span>
  );
}

/** The newest value that the rule looked at. Silence has none: nothing came. */
export function AlertValue({ alert }: { alert: Alert }) {
  const words = useWords();
  const { measurement } = subjectOf(alert);
  if (measurement === null) return null;
  if (alert.value === null) return <span class="dim">{words.t.common.no_data}</span>;
  return <b>{valueWithUnit(measurement, alert.value, words)}</b>;
}

/** Where, how much, since when, in one line. */
export function AlertDetails({ alert }: { alert: Alert }) {
  const isAboutValue = subjectOf(alert).measurement !== null;
  return (
    <>
      <AlertSubject alert={alert} />
      {isAboutValue ? " · " : null}
      <AlertValue alert={alert} /> · <Age atMs={Date.parse(alert.since)} />
    </>
  );
}

/** Nothing for an alert that needs no acknowledgement, or has one. */
export function AcknowledgeButton({ alert }: { alert: Alert }) {
  const { t } = useWords();
  const desk = useDesk();
  const school = useSchool();
  const isSending = useSignal(false);
  const isAsked = alert.state === "firing" || (alert.state === "unknown" && alert.acknowledged_by === null);
  if (!isAsked) return null;
  const acknowledge = async (): Promise<void> => {
    if (isSending.value) return;
    isSending.value = true;
    const done = await desk.attempt(() => school.client.post<Alert>(`alerts/${encodeURIComponent(alert.id)}/ack`));
    isSending.value = false;
    if (done === null) return;
    school.alerts.put(done.answer);
    desk.say(t.alerts.acknowledged(alert.rule_name));
  };
  return (
    <button
      type="button"
      class="small"
      aria-label={t.alerts.acknowledge_named(alert.rule_name, school.deviceName(subjectOf(alert).device))}
      aria-disabled={isSending.value}
      onClick={() => void acknowledge()}
    >
      {t.alerts.acknowledge}
    </button>
  );
}
