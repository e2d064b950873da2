/** Alerts that somebody should look at, the worst first. */

import { useComputed } from "@preact/signals";

import { useSchool, useWords } from "../desk.ts";
import { AlertMark, SeverityMark } from "../parts/mark.tsx";
import { Available, Panel } from "../parts/panel.tsx";
import { to } from "../route.ts";
import { isOpen, mostUrgentFirst } from "../school/alarm.ts";
import { AcknowledgeButton, AlertDetails } from "./alert_parts.tsx";

const MOST_SHOWN = 40;

export function OpenAlertsPanel() {
  const { t, f } = useWords();
  const school = useSchool();
  const { alerts } = school;
  const open = useComputed(() => [...alerts.items.value.values()].filter(isOpen).sort(mostUrgentFirst));
  const shown = open.value.slice(0, MOST_SHOWN);
  return (
    <Panel
      class="open-alerts"
      title={t.overview.open_alerts}
      count={f.number(open.value.length)}
      aside={<a href={to.alerts()}>{t.overview.all_alerts}</a>}
    >
      <Available
        loading={alerts.loading.value}
        isEmpty={open.value.length === 0}
        empty={t.overview.no_open_alerts}
        retry={() => void school.reload()}
      >
        <ul class="rows scroll" tabIndex={0} aria-label={t.overview.open_alerts}>
          {shown.map((alert) => (
            <li key={alert.id} class={`alert-row ${alert.state} ${alert.severity}`}>
              <p class="first">
                <AlertMark state={alert.state} severity={alert.severity} /> <b>{alert.rule_name}</b>
              </p>
              <p class="second">
                <SeverityMark severity={alert.severity} /> <AlertDetails alert={alert} />
              </p>
              <AcknowledgeButton alert={alert} />
            </li>
          ))}
        </ul>
      </Available>
    </Panel>
  );
}
