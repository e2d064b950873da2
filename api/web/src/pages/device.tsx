/** One device: what it is, what it says now, and how that went. */

import { useComputed, useSignal } from "@preact/signals";

import { useDesk, useSchool, useWords } from "../desk.ts";
import type { Device, DeviceSecret } from "../gateway/shapes.ts";
import { Confirm } from "../parts/dialog.tsx";
import { Icon } from "../parts/icon.tsx";
import { Lookup } from "../parts/lookup.tsx";
import { AlertMark, ClockNote, ConnectionMark, Mark } from "../parts/mark.tsx";
import { Moment } from "../parts/moment.tsx";
import { Panel } from "../parts/panel.tsx";
import { to, type RangeName } from "../route.ts";
import { kindInWords } from "../school/presence.ts";
import { isOpen, mostUrgentFirst, subjectOf } from "../school/alarm.ts";
import { AcknowledgeButton, AlertDetails } from "./alert_parts.tsx";
import { DeviceCharts } from "./device_charts.tsx";
import { EditDeviceDialog, SecretDialog } from "./device_dialogs.tsx";
import { LastHeard } from "./devices.tsx";
import { DirectionMark } from "./tap_parts.tsx";

export function DevicePage({ id, range }: { id: string; range: RangeName }) {
  const { t } = useWords();
  const { devices } = useSchool();
  const device = devices.items.value.get(id);
  return (
    <div class="page">
      <p class="back">
        <a href={to.devices()}>
          <Icon name="back" />
          {t.device.back}
        </a>
      </p>
      {device === undefined ? (
        <>
          <h1 tabIndex={-1}>{id}</h1>
          <p class="nothing">{devices.loading.value.phase === "loading" ? t.common.loading : t.device.not_found(id)}</p>
        </>
      ) : (
        <>
          <DeviceHead device={device} />
          <DeviceAlerts id={id} />
          {device.state === "seen" ? null : <DeviceCharts device={device} range={range} />}
          <DeviceTaps id={id} />
        </>
      )}
    </div>
  );
}

function DeviceHead({ device }: { device: Device }) {
  const { t } = useWords();
  const desk = useDesk();
  const school = useSchool();
  const asked = useSignal<"edit" | "secret" | "revoke" | null>(null);
  const made = useSignal<DeviceSecret | null>(null);
  const path = `devices/${encodeURIComponent(device.id)}`;
  const close = (): void => {
    asked.value = null;
  };
  const renewSecret = async (): Promise<void> => {
    const done = await desk.attempt(() => school.client.post<DeviceSecret>(`${path}/secret`));
    if (done !== null) made.value = done.answer;
  };
  const revoke = async (): Promise<void> => {
    const done = await desk.attempt(() => school.client.delete(path));
    if (done === null) return;
    school.devices.put({ ...device, state: "revoked", online: false });
    desk.say(t.device.revoked(device.name || device.id));
  };
  return (
    <header class="device-head">
      <div class="page-head">
        <h1 tabIndex={-1}>{device.name || device.id}</h1>
        {device.state === "active" ? (
          <div class="actions">
            <button type="button" onClick={() => (asked.value = "edit")}>
              {t.device.edit}
            </button>
            <button type="button" onClick={() => (asked.value = "secret")}>
              {t.device.new_secret}
            </button>
            <button type="button" class="danger" onClick={() => (asked.value = "revoke")}>
              {t.device.revoke}
            </button>
          </div>
        ) : null}
      </div>
      <dl class="strip">
        <Fact name={t.devices.connection}>
          {device.state === "active" ? (
            <ConnectionMark device={device} />
          ) : (
            <Mark tone="idle" shape="bar">
              {t.devices.state[device.state]}
            </Mark>
          )}
        </Fact>
        <Fact name={t.devices.last_seen}>
          <LastHeard device={device} />
        </Fact>
        <Fact name={t.devices.place}>{device.place || <span class="dim">{t.common.unknown}</span>}</Fact>
        <Fact name={t.devices.kind}>{kindInWords(device.kind) || <span class="dim">{t.common.unknown}</span>}</Fact>
        <Fact name={t.device_form.id}>
          <span class="mono">{device.id}</span>
        </Fact>
        <Fact name={t.devices.format}>
          <Lookup record={t.devices.formats} name={device.format} />
        </Fact>
        <Fact name={t.device.created}>
          <Moment at={device.created_at} />
        </Fact>
      </dl>
      {asked.value === "edit" ? <EditDeviceDialog device={device} close={close} /> : null}
      {asked.value === "secret" ? (
        <Confirm
          title={t.device.new_secret_title(device.id)}
          lead={t.device.new_secret_lead}
          action={t.device.new_secret_do}
          confirm={() => void renewSecret()}
          close={close}
        />
      ) : null}
      {asked.value === "revoke" ? (
        <Confirm
          title={t.device.revoke_title(device.id)}
          lead={t.device.revoke_lead}
          action={t.device.revoke_do}
          confirm={() => void revoke()}
          close={close}
        />
      ) : null}
      {made.value === null ? null : <SecretDialog made={made.value} close={() => (made.value = null)} />}
    </header>
  );
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function DeviceAlerts({ id }: { id: string }) {
  const { t, f } = useWords();
  const { alerts } = useSchool();
  const own = useComputed(() =>
    [...alerts.items.value.values()]
      .filter((alert) => isOpen(alert) && subjectOf(alert).device === id)
      .sort(mostUrgentFirst),
  );
  if (own.value.length === 0) return null;
  return (
    <Panel title={t.device.alerts} count={f.number(own.value.length)} class="full">
      <ul class="rows">
        {own.value.map((alert) => (
          <li key={alert.id} class="alert-row">
            <p class="first">
              <AlertMark state={alert.state} severity={alert.severity} /> <b>{alert.rule_name}</b>
            </p>
            <p class="second">
              <AlertDetails alert={alert} />
            </p>
            <AcknowledgeButton alert={alert} />
          </li>
        ))}
      </ul>
    </Panel>
  );
}

const MOST_TAPS = 100;

function DeviceTaps({ id }: { id: string }) {
  const { t, f } = useWords();
  const school = useSchool();
  const taps = useComputed(() => school.tapsNewestFirst.value.filter((tap) => tap.device === id));
  if (taps.value.length === 0) return null;
  return (
    <Panel title={t.device.taps} count={f.number(taps.value.length)} class="full">
      <ol class="rows">
        {taps.value.slice(0, MOST_TAPS).map((tap) => (
          <li key={tap.id} class="tap-row">
            <Moment at={tap.at} />
            <span class="who">
              {tap.person === null ? (
                <span class="unknown-card">{t.attendance.unknown_card}</span>
              ) : (
                <>
                  <b>{tap.person.name}</b> <span class="dim">{tap.person.group}</span>
                </>
              )}
              <ClockNote clock={tap.clock} />
            </span>
            <DirectionMark direction={tap.direction} />
          </li>
        ))}
      </ol>
    </Panel>
  );
}
