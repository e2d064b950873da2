/** Alerts in every state. */

import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { useSchool, useWords } from "../desk.ts";
import type { Alert, AlertState } from "../gateway/shapes.ts";
import { Choices, FilterBox } from "../parts/form.tsx";
import { AlertMark, SeverityMark } from "../parts/mark.tsx";
import { Age, Moment } from "../parts/moment.tsx";
import { Available, Panel } from "../parts/panel.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { isOpen, mostUrgentFirst, subjectOf } from "../school/alarm.ts";
import { matches } from "../school/filter.ts";
import type { Words } from "../texts/language.ts";
import { AcknowledgeButton, AlertDetails, AlertSubject, AlertValue } from "./alert_parts.tsx";
import { AlertsTabs } from "./alerts_tabs.tsx";

type Shown = "open" | AlertState;

const SHOWN: readonly Shown[] = ["open", "firing", "unknown", "acknowledged", "pending", "resolved"];

export function AlertsPage({ show: asked }: { show: string }) {
  const words = useWords();
  const { t, f } = words;
  const school = useSchool();
  const show = useSignal<Shown>(SHOWN.find((state) => state === asked) ?? "open");
  const filter = useSignal("");
  const isResolvedAsked = show.value === "resolved";
  useEffect(() => {
    if (isResolvedAsked) void school.loadResolvedAlerts();
  }, [school, isResolvedAsked]);
  const all = useComputed(() => [...school.alerts.items.value.values()]);
  const inState = (state: Shown): Alert[] =>
    all.value.filter((alert) => (state === "open" ? isOpen(alert) : alert.state === state));
  const rows = useComputed(() =>
    inState(show.value)
      .filter((alert) => {
        const { device, measurement } = subjectOf(alert);
        const place = school.devices.items.value.get(device)?.place;
        return matches(filter.value, [alert.rule_name, device, school.deviceName(device), place, measurement]);
      })
      .sort(mostUrgentFirst),
  );
  const columns = useMemo(() => columnsOf(words), [words]);
  const loading = isResolvedAsked ? school.resolvedLoading.value : school.alerts.loading.value;
  return (
    <div class="page">
      <header class="page-head">
        <h1 tabIndex={-1}>{t.alerts.title}</h1>
        <AlertsTabs current="list" />
      </header>
      <Panel
        title={t.alerts.list}
        count={f.number(rows.value.length)}
        class="full"
        aside={
          <>
            <FilterBox value={filter.value} hint={t.alerts.filter} change={(typed) => (filter.value = typed)} />
            <Choices
              label={t.alerts.show}
              value={show.value}
              change={(state) => (show.value = state)}
              choices={SHOWN.map((state) => ({
                value: state,
                label: t.alerts.shown[state],
                ...(state === "resolved" ? {} : { count: f.number(inState(state).length) }),
              }))}
            />
          </>
        }
      >
        <Available
          loading={loading}
          isEmpty={rows.value.length === 0}
          empty={
            filter.value !== ""
              ? t.common.nothing_matches
              : show.value === "open"
                ? t.alerts.empty_open
                : t.alerts.empty
          }
          retry={() => void school.reload()}
        >
          <Table
            caption={t.alerts.list}
            columns={columns}
            rows={rows.value}
            choice={`${show.value} ${filter.value}`}
            keyOf={(alert) => alert.id}
            rowClass={(alert) => `${alert.state} ${alert.severity}`}
            class="alerts"
          />
        </Available>
      </Panel>
    </div>
  );
}

function columnsOf({ t }: Words): Column<Alert>[] {
  return [
    {
      id: "state",
      heading: t.alerts.state,
      class: "wide",
      cell: (alert) => (
        <>
          <AlertMark state={alert.state} severity={alert.severity} />
          {alert.acknowledged_by === null ? null : <AcknowledgedBy alert={alert} />}
        </>
      ),
    },
    {
      id: "rule",
      heading: t.alerts.rule,
      isRowHeading: true,
      order: (alert) => alert.rule_name,
      cell: (alert) => (
        <>
          {alert.rule_name} <SeverityMark severity={alert.severity} />
          <span class="stacked">
            <AlertMark state={alert.state} severity={alert.severity} />
          </span>
          <span class="stacked">
            <AlertDetails alert={alert} />
          </span>
        </>
      ),
    },
    {
      id: "subject",
      heading: t.alerts.subject,
      class: "wide",
      order: (alert) => alert.subject,
      cell: (alert) => <AlertSubject alert={alert} />,
    },
    { id: "value", heading: t.alerts.value, class: "wide number", cell: (alert) => <AlertValue alert={alert} /> },
    {
      id: "since",
      heading: t.alerts.since,
      class: "wide age",
      order: (alert) => alert.since,
      cell: (alert) => (
        <>
          <Moment at={alert.since} />{" "}
          <span class="dim">
            <Age atMs={Date.parse(alert.since)} />
          </span>
        </>
      ),
    },
    {
      id: "actions",
      heading: t.common.actions,
      isHeadingHidden: true,
      class: "actions",
      cell: (alert) => <AcknowledgeButton alert={alert} />,
    },
  ];
}

function AcknowledgedBy({ alert }: { alert: Alert }) {
  const { t, f } = useWords();
  const { pulse } = useSchool();
  const when = alert.acknowledged_at === null ? "" : f.moment(Date.parse(alert.acknowledged_at), pulse.now.peek());
  return <span class="note">{t.alerts.acknowledged_by(alert.acknowledged_by ?? t.common.unknown, when)}</span>;
}
