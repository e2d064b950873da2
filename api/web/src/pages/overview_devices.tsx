/** Devices that should be here and are not. */

import { useComputed } from "@preact/signals";

import { useSchool, useWords } from "../desk.ts";
import { ConnectionMark } from "../parts/mark.tsx";
import { Age } from "../parts/moment.tsx";
import { Available, Panel } from "../parts/panel.tsx";
import { to } from "../route.ts";
import { lastHeardMs, placeBesideName } from "../school/presence.ts";

const MOST_SHOWN = 40;

export function OfflinePanel() {
  const { t, f } = useWords();
  const school = useSchool();
  const { devices } = school;
  const offline = useComputed(() =>
    [...devices.items.value.values()]
      .filter((device) => device.state === "active" && device.online !== true)
      .sort(
        (left, right) => Number(left.online === null) - Number(right.online === null) || f.compare(left.id, right.id),
      ),
  );
  const hasDevices = devices.items.value.size > 0;
  return (
    <Panel
      class="offline"
      title={t.overview.offline_title}
      count={f.number(offline.value.length)}
      aside={<a href={to.devices()}>{t.overview.all_devices}</a>}
    >
      <Available
        loading={devices.loading.value}
        isEmpty={offline.value.length === 0}
        empty={hasDevices ? t.overview.all_online : t.overview.no_devices}
        retry={() => void school.reload()}
      >
        <ul class="rows scroll" tabIndex={0} aria-label={t.overview.offline_title}>
          {offline.value.slice(0, MOST_SHOWN).map((device) => (
            <li key={device.id} class="device-row">
              <ConnectionMark device={device} isWordHidden />
              <span class="who">
                <a href={to.device(device.id)}>{device.name || device.id}</a>
                {placeBesideName(device) ? <span class="dim">, {device.place}</span> : null}
              </span>
              <span class="dim">
                <Age atMs={lastHeardMs(device, null)} />
              </span>
            </li>
          ))}
        </ul>
      </Available>
    </Panel>
  );
}
