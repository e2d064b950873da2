/** What every list of alerts shows of one alert. */

import { useSignal } from "@preact/signals";

import { useDesk, useSchool, useWords } from "../desk.ts";
import type { Alert } from "../gateway/shapes.ts";
import { to } from "../route.ts";
import { subjectOf } from "../school/alarm.ts";
import { label, valueWithUnit } from "../texts/measurements.ts";

export function AlertSubject({ alert }: { alert: Alert }) {
  const { t } = useWords();
  const school = useSchool();
  const { device, measurement } = subjectOf(alert);
  const place = school.devices.items.value.get(device)?.place;
  return (
    <span>
      <a href={to.device(device)}>{school.deviceName(device)}</a>
      {place ? <span class="dim">, {place}</span> : null}
      {measurement === null ? null : <span class="dim"> · {label(measurement, t.quantities)}</span>}
    </span>
  );
}

export function AlertValue({ alert }: { alert: Alert }) {
  const { t, f } = useWords();
  const { measurement } = subjectOf(alert);
  if (alert.value === null) return <span class="dim">{t.common.no_data}</span>;
  if (measurement === null) return <b>{f.roughly(alert.value)}</b>;
  return <b>{valueWithUnit(measurement, alert.value, f)}</b>;
}

/** Nothing for an alert that needs no acknowledgement. */
export function AcknowledgeButton({ alert }: { alert: Alert }) {
  const { t } = useWords();
  const desk = useDesk();
  const school = useSchool();
  const isSending = useSignal(false);
  if (alert.state !== "firing" && alert.state !== "unknown") return null;
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
