/** The rules that raise alerts. */

import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { useDesk, useSchool, useWords } from "../desk.ts";
import type { Rule } from "../gateway/shapes.ts";
import { Confirm } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import { SeverityMark } from "../parts/mark.tsx";
import { Available, Panel } from "../parts/panel.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { sideOf } from "../school/alarm.ts";
import { kindInWords } from "../school/presence.ts";
import type { Words } from "../texts/language.ts";
import { label, valueWithUnit } from "../texts/measurements.ts";
import { AlertsTabs } from "./alerts_tabs.tsx";
import { RuleDialog } from "./rule_dialog.tsx";

export function RulesPage() {
  const words = useWords();
  const { t, f } = words;
  const desk = useDesk();
  const school = useSchool();
  const editing = useSignal<Rule | null>(null);
  const removing = useSignal<Rule | null>(null);
  const isAdding = useSignal(false);
  useEffect(() => void school.loadRules(), [school]);
  const rows = useComputed(() =>
    [...school.rules.items.value.values()].sort((left, right) => f.compare(left.name, right.name)),
  );
  const columns = useMemo(
    () =>
      columnsOf(words, {
        edit: (rule) => (editing.value = rule),
        remove: (rule) => (removing.value = rule),
      }),
    [words],
  );
  const remove = async (rule: Rule): Promise<void> => {
    const done = await desk.attempt(() => school.client.delete(`rules/${encodeURIComponent(rule.id)}`));
    if (done === null) return;
    school.rules.remove(rule.id);
    desk.say(t.rules.removed(rule.name));
  };
  return (
    <div class="page">
      <header class="page-head">
        <h1 tabIndex={-1}>{t.alerts.title}</h1>
        <AlertsTabs current="rules" />
        <button type="button" onClick={() => (isAdding.value = true)}>
          <Icon name="plus" />
          {t.rules.add}
        </button>
      </header>
      <Panel title={t.alerts.rules} count={f.number(rows.value.length)} class="full">
        <Available
          loading={school.rules.loading.value}
          isEmpty={rows.value.length === 0}
          empty={t.rules.empty}
          retry={() => void school.loadRules()}
        >
          <Table
            caption={t.alerts.rules}
            columns={columns}
            rows={rows.value}
            keyOf={(rule) => rule.id}
            rowClass={(rule) => (rule.enabled ? "" : "off")}
            class="rules"
          />
        </Available>
      </Panel>
      {isAdding.value ? <RuleDialog rule={null} close={() => (isAdding.value = false)} /> : null}
      {editing.value === null ? null : <RuleDialog rule={editing.value} close={() => (editing.value = null)} />}
      {removing.value === null ? null : (
        <Confirm
          title={t.rules.remove_title(removing.value.name)}
          lead={t.rules.remove_lead}
          action={t.common.delete}
          confirm={() => void (removing.value === null || remove(removing.value))}
          close={() => (removing.value = null)}
        />
      )}
    </div>
  );
}

interface RuleActions {
  edit: (rule: Rule) => void;
  remove: (rule: Rule) => void;
}

function columnsOf({ t }: Words, { edit, remove }: RuleActions): Column<Rule>[] {
  return [
    {
      id: "name",
      heading: t.rules.name,
      isRowHeading: true,
      order: (rule) => rule.name,
      cell: (rule) => (
        <>
          {rule.name} <SeverityMark severity={rule.severity} />
          {rule.enabled ? null : <span class="tag off">{t.rules.off}</span>}
          <span class="stacked dim">
            <Condition rule={rule} />
          </span>
        </>
      ),
    },
    { id: "condition", heading: t.rules.condition, class: "wide", cell: (rule) => <Condition rule={rule} /> },
    { id: "applies", heading: t.rules.applies, class: "wide", cell: (rule) => <AppliesTo rule={rule} /> },
    {
      id: "actions",
      heading: t.common.actions,
      isHeadingHidden: true,
      class: "actions",
      cell: (rule) => (
        <>
          <EnabledSwitch rule={rule} />
          <button type="button" class="small" aria-label={t.rules.edit_named(rule.name)} onClick={() => edit(rule)}>
            {t.common.edit}
          </button>
          <button
            type="button"
            class="small danger"
            aria-label={t.rules.delete_named(rule.name)}
            onClick={() => remove(rule)}
          >
            {t.common.delete}
          </button>
        </>
      ),
    },
  ];
}

/** The rule as a sentence. */
function Condition({ rule }: { rule: Rule }) {
  const words = useWords();
  const { t, f } = words;
  const { says } = t.rules;
  if (rule.kind === "silence") return <>{says.silence(f.seconds(rule.after_s ?? 0))}</>;
  const measurement = rule.measurement ?? "";
  const side = sideOf(rule);
  const holdS = rule.for_s ?? 0;
  const condition = says[side](label(measurement, words), valueWithUnit(measurement, rule[side] ?? 0, words));
  return (
    <>
      {holdS === 0 ? condition : says.hold(condition, f.seconds(holdS))}
      {typeof rule.clear === "number" ? (
        <span class="dim">, {says.clears(valueWithUnit(measurement, rule.clear, words))}</span>
      ) : null}
    </>
  );
}

function AppliesTo({ rule }: { rule: Rule }) {
  const { t } = useWords();
  const school = useSchool();
  if (rule.device !== null) return <>{school.deviceName(rule.device)}</>;
  if (rule.device_kind !== null) return <>{`${t.rules.applies_kind}: ${kindInWords(rule.device_kind)}`}</>;
  return <>{t.rules.applies_all}</>;
}

function EnabledSwitch({ rule }: { rule: Rule }) {
  const { t } = useWords();
  const desk = useDesk();
  const school = useSchool();
  const change = async (isEnabled: boolean): Promise<void> => {
    const path = `rules/${encodeURIComponent(rule.id)}`;
    const done = await desk.attempt(() => school.client.patch<Rule>(path, { enabled: isEnabled }));
    school.rules.put(done === null ? { ...rule } : done.answer); // puts the box back when it was refused
  };
  return (
    <label class="check">
      <input
        type="checkbox"
        aria-label={t.rules.enabled_named(rule.name)}
        checked={rule.enabled}
        onChange={(event) => void change(event.currentTarget.checked)}
      />
      <span class="wide" aria-hidden="true">
        {t.rules.enabled}
      </span>
    </label>
  );
}
