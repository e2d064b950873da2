/** All devices: who is connected, and what they say now. */

import { useComputed, useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import { useSchool, useWords } from "../desk.ts";
import type { Device } from "../gateway/shapes.ts";
import { useDerived } from "../parts/derived.ts";
import { Choices, FilterBox } from "../parts/form.tsx";
import { Icon } from "../parts/icon.tsx";
import { LiveValue } from "../parts/live_value.tsx";
import { ConnectionMark, Mark } from "../parts/mark.tsx";
import { Available, Panel } from "../parts/panel.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { to } from "../route.ts";
import { matches } from "../school/filter.ts";
import { isShown, kindInWords, lastHeardMs, SHOWN_STATES, type ShownState } from "../school/presence.ts";
import type { Words } from "../texts/language.ts";
import { label } from "../texts/measurements.ts";
import { AddDeviceDialog } from "./device_dialogs.tsx";
import { SeenPanel } from "./seen_devices.tsx";

const JUST_NOW_MS = 60_000;

interface DevicesPageProps {
  filter: string;
  show: string;
}

export function DevicesPage({ filter: askedFilter, show: askedShow }: DevicesPageProps) {
  const words = useWords();
  const { t, f } = words;
  const school = useSchool();
  const { devices, series } = school;
  const filter = useSignal(askedFilter);
  const show = useSignal<ShownState>(SHOWN_STATES.find((state) => state === askedShow) ?? "all");
  const isAdding = useSignal(false);
  const known = useComputed(() => [...devices.items.value.values()].filter((device) => device.state !== "seen"));
  const rows = useComputed(() =>
    known.value
      .filter((device) => isShown(device, show.value))
      .filter((device) =>
        matches(filter.value, [
          device.id,
          device.name,
          device.place,
          device.kind,
          ...series.measurements(device.id).value.flatMap((name) => [name, label(name, words)]),
        ]),
      )
      .sort((left, right) => f.compare(left.name || left.id, right.name || right.id)),
  );
  const columns = useMemo(() => columnsOf(words), [words]);
  return (
    <div class="page">
      <header class="page-head">
        <h1 tabIndex={-1}>{t.devices.title}</h1>
        <button type="button" onClick={() => (isAdding.value = true)}>
          <Icon name="plus" />
          {t.devices.add}
        </button>
      </header>
      <SeenPanel />
      <Panel
        title={t.devices.title}
        count={t.common.shown_of(rows.value.length, known.value.filter((device) => isShown(device, "all")).length)}
        class="full"
        aside={
          <>
            <FilterBox value={filter.value} hint={t.devices.filter} change={(typed) => (filter.value = typed)} />
            <Choices
              label={t.devices.show.label}
              value={show.value}
              change={(state) => (show.value = state)}
              choices={SHOWN_STATES.map((state) => ({
                value: state,
                label: t.devices.show[state],
                count: f.number(known.value.filter((device) => isShown(device, state)).length),
              }))}
            />
          </>
        }
      >
        <Available
          loading={devices.loading.value}
          isEmpty={rows.value.length === 0}
          empty={known.value.length === 0 ? t.devices.empty : t.common.nothing_matches}
          retry={() => void school.reload()}
        >
          <Table
            caption={t.devices.title}
            columns={columns}
            rows={rows.value}
            choice={`${show.value} ${filter.value}`}
            keyOf={(device) => device.id}
            class="devices"
          />
        </Available>
      </Panel>
      {isAdding.value ? <AddDeviceDialog close={() => (isAdding.value = false)} /> : null}
    </div>
  );
}

function columnsOf({ t }: Words): Column<Device>[] {
  return [
    {
      id: "device",
      heading: t.devices.name,
      isRowHeading: true,
      order: (device) => device.name || device.id,
      cell: (device) => (
        <>
          <a href={to.device(device.id)}>{device.name || device.id}</a>
          {device.name ? <span class="id mono wide">{device.id}</span> : null}
          <span class="stacked dim">{[device.place, kindInWords(device.kind)].filter(Boolean).join(" · ")}</span>
          <span class="stacked">
            <Connection device={device} />
          </span>
        </>
      ),
    },
    {
      id: "connection",
      heading: t.devices.connection,
      class: "wide",
      order: (device) => (device.online === null ? 2 : device.online ? 0 : 1),
      cell: (device) => <Connection device={device} />,
    },
    {
      id: "kind",
      heading: t.devices.kind,
      class: "wide",
      order: (device) => device.kind,
      cell: (device) => kindInWords(device.kind),
    },
    {
      id: "place",
      heading: t.devices.place,
      class: "wide",
      order: (device) => device.place,
      cell: (device) => device.place,
    },
    {
      id: "seen",
      heading: t.devices.last_seen,
      class: "wide age",
      order: (device) => device.last_seen_at ?? "",
      cell: (device) => <LastHeard device={device} />,
    },
    { id: "values", heading: t.devices.values, class: "values", cell: (device) => <DeviceValues device={device} /> },
  ];
}

function Connection({ device }: { device: Device }) {
  const { t } = useWords();
  if (device.state !== "revoked") return <ConnectionMark device={device} />;
  return (
    <Mark tone="idle" shape="bar">
      {t.devices.state.revoked}
    </Mark>
  );
}

/** Looked up once a second: a device that speaks now needs no second hand. */
export function LastHeard({ device }: { device: Device }) {
  const { t, f } = useWords();
  const { series, pulse } = useSchool();
  const words = useDerived(() => {
    const nowMs = pulse.now.value;
    const heardMs = lastHeardMs(device, series.newestMs(device.id));
    if (heardMs === null) return t.common.never;
    return nowMs - heardMs < JUST_NOW_MS ? t.devices.just_now : f.age(heardMs, nowMs);
  }, [device, t, f]);
  return <span>{words}</span>;
}

function DeviceValues({ device }: { device: Device }) {
  const { t } = useWords();
  const { series } = useSchool();
  const measurements = series.measurements(device.id).value;
  if (measurements.length === 0) return <span class="dim">{t.common.no_data}</span>;
  return (
    <span class="value-list">
      {measurements.map((measurement) => (
        <LiveValue key={measurement} device={device.id} measurement={measurement} isOffline={device.online === false} />
      ))}
    </span>
  );
}
