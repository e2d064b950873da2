/** Making and changing a rule. */

import { useComputed, useSignal } from "@preact/signals";

import { useDesk, useSchool, useWords } from "../desk.ts";
import type { Rule, RuleDraft, RuleKind, Severity } from "../gateway/shapes.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Choices, Field, Form, TextField } from "../parts/form.tsx";
import { clearingProblem, sideOf } from "../school/alarm.ts";

const SEVERITIES: readonly Severity[] = ["info", "warning", "critical"];
const KINDS: readonly RuleKind[] = ["threshold", "silence"];

type Applies = "all" | "kind" | "device";

/** The entries as they are typed; numbers become numbers when they are sent. */
interface Entries {
  name: string;
  kind: RuleKind;
  severity: Severity;
  isEnabled: boolean;
  applies: Applies;
  device: string;
  deviceKind: string;
  measurement: string;
  side: "above" | "below";
  limit: string;
  clear: string;
  forS: string;
  afterS: string;
}

export function RuleDialog({ rule, close }: { rule: Rule | null; close: () => void }) {
  const { t, f } = useWords();
  const desk = useDesk();
  const school = useSchool();
  const entries = useSignal<Entries>(entriesOf(rule));
  const change = (part: Partial<Entries>): void => {
    entries.value = { ...entries.value, ...part };
  };
  const devices = useComputed(() =>
    [...school.devices.items.value.values()]
      .filter((device) => device.state === "active")
      .sort((left, right) => f.compare(left.name || left.id, right.name || right.id)),
  );
  const kinds = useComputed(() => [...new Set(devices.value.map((device) => device.kind).filter(Boolean))].sort());
  const measurements = useComputed(() =>
    [...new Set(Array.from(school.series.all(), (latest) => latest.peek().measurement))].sort(),
  );
  const { kind, applies, side, limit, clear } = entries.value;
  const check = (): string | null => {
    if (kind !== "threshold" || clear === "") return null;
    const problem = clearingProblem(side, Number(limit), Number(clear));
    return problem === null ? null : t.rules[problem];
  };
  const send = async (idempotencyKey: string): Promise<void> => {
    const { kind: chosenKind, ...changes } = draftOf(entries.value);
    const saved =
      rule === null
        ? await school.client.post<Rule>("rules", { kind: chosenKind, ...changes }, idempotencyKey)
        : await school.client.patch<Rule>(`rules/${encodeURIComponent(rule.id)}`, changes);
    school.rules.put(saved);
    desk.say(t.rules.saved(saved.name));
  };
  return (
    <Dialog title={rule === null ? t.rules.add_title : t.rules.edit_title(rule.name)} close={close}>
      <Form submit={t.common.save} check={check} send={send} close={close}>
        <TextField
          label={t.rules.name}
          isRequired
          hasFocus
          value={entries.value.name}
          change={(name) => change({ name })}
        />
        {rule === null ? (
          <Choices
            label={t.rules.kind}
            value={kind}
            change={(chosen) => change({ kind: chosen })}
            choices={KINDS.map((name) => ({ value: name, label: t.rules.kinds[name] }))}
          />
        ) : null}
        <p class="hint">{t.rules.kind_hints[kind]}</p>
        <div class="pair">
          <Field label={t.rules.applies}>
            {(ids) => (
              <select
                {...ids}
                value={applies}
                onChange={(event) => change({ applies: event.currentTarget.value as Applies })}
              >
                <option value="all">{t.rules.applies_all}</option>
                <option value="kind">{t.rules.applies_kind}</option>
                <option value="device">{t.rules.applies_device}</option>
              </select>
            )}
          </Field>
          {applies === "kind" ? (
            <TextField
              label={t.rules.device_kind}
              isRequired
              suggestions={kinds.value}
              value={entries.value.deviceKind}
              change={(deviceKind) => change({ deviceKind })}
            />
          ) : null}
          {applies === "device" ? (
            <Field label={t.rules.device}>
              {(ids) => (
                <select
                  {...ids}
                  required
                  value={entries.value.device}
                  onChange={(event) => change({ device: event.currentTarget.value })}
                >
                  <option value="" />
                  {devices.value.map((device) => (
                    <option key={device.id} value={device.id}>
                      {device.name ? `${device.name} (${device.id})` : device.id}
                    </option>
                  ))}
                </select>
              )}
            </Field>
          ) : null}
        </div>
        {kind === "threshold" ? (
          <>
            <TextField
              label={t.rules.measurement}
              isRequired
              isMono
              suggestions={measurements.value}
              value={entries.value.measurement}
              change={(measurement) => change({ measurement })}
            />
            <div class="pair">
              <Field label={t.rules.condition}>
                {(ids) => (
                  <select
                    {...ids}
                    value={side}
                    onChange={(event) => change({ side: event.currentTarget.value as Entries["side"] })}
                  >
                    <option value="above">{t.rules.above}</option>
                    <option value="below">{t.rules.below}</option>
                  </select>
                )}
              </Field>
              <TextField
                label={t.rules.limit}
                isNumber
                isRequired
                value={limit}
                change={(typed) => change({ limit: typed })}
              />
            </div>
            <div class="pair">
              <TextField
                label={t.rules.clear}
                hint={t.rules.clear_hint}
                isNumber
                isRequired
                value={clear}
                change={(typed) => change({ clear: typed })}
              />
              <TextField
                label={t.rules.for}
                isNumber
                min={0}
                isRequired
                value={entries.value.forS}
                change={(forS) => change({ forS })}
              />
            </div>
          </>
        ) : (
          <TextField
            label={t.rules.after}
            isNumber
            min={1}
            isRequired
            value={entries.value.afterS}
            change={(afterS) => change({ afterS })}
          />
        )}
        <div class="pair">
          <Field label={t.rules.severity}>
            {(ids) => (
              <select
                {...ids}
                value={entries.value.severity}
                onChange={(event) => change({ severity: event.currentTarget.value as Severity })}
              >
                {SEVERITIES.map((severity) => (
                  <option key={severity} value={severity}>
                    {t.alerts.severities[severity]}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <label class="check in-form">
            <input
              type="checkbox"
              checked={entries.value.isEnabled}
              onChange={(event) => change({ isEnabled: event.currentTarget.checked })}
            />
            {t.rules.enabled}
          </label>
        </div>
      </Form>
    </Dialog>
  );
}

function entriesOf(rule: Rule | null): Entries {
  const side = rule === null ? "above" : sideOf(rule);
  return {
    name: rule?.name ?? "",
    kind: rule?.kind ?? "threshold",
    severity: rule?.severity ?? "warning",
    isEnabled: rule?.enabled ?? true,
    applies: rule === null ? "all" : rule.device !== null ? "device" : rule.device_kind !== null ? "kind" : "all",
    device: rule?.device ?? "",
    deviceKind: rule?.device_kind ?? "",
    measurement: rule?.measurement ?? "",
    side,
    limit: typed(rule?.[side]),
    clear: typed(rule?.clear),
    forS: typed(rule?.for_s ?? (rule === null ? 60 : null)),
    afterS: typed(rule?.after_s ?? (rule === null ? 600 : null)),
  };
}

function draftOf(entries: Entries): RuleDraft {
  const { applies, side } = entries;
  const shared = {
    name: entries.name.trim(),
    kind: entries.kind,
    enabled: entries.isEnabled,
    severity: entries.severity,
    device: applies === "device" ? entries.device : null,
    device_kind: applies === "kind" ? entries.deviceKind.trim() : null,
  };
  if (entries.kind === "silence") return { ...shared, after_s: Number(entries.afterS) };
  return {
    ...shared,
    measurement: entries.measurement.trim(),
    above: side === "above" ? Number(entries.limit) : null,
    below: side === "below" ? Number(entries.limit) : null,
    clear: Number(entries.clear),
    for_s: Number(entries.forS),
  };
}

function typed(value: number | null | undefined): string {
  return value === null || value === undefined ? "" : String(value);
}
