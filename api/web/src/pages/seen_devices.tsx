/** Devices that speak and are nobody's yet. */

import { useComputed, useSignal } from "@preact/signals";

import { useDesk, useSchool, useWords } from "../desk.ts";
import type { Adoption, Device } from "../gateway/shapes.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Form } from "../parts/form.tsx";
import { Lookup } from "../parts/lookup.tsx";
import { Panel } from "../parts/panel.tsx";

import { DescriptionFields, descriptionOf } from "./device_dialogs.tsx";

export function SeenPanel() {
  const { t, f } = useWords();
  const { devices, pulse } = useSchool();
  const seen = useComputed(() =>
    [...devices.items.value.values()]
      .filter((device) => device.state === "seen")
      .sort((left, right) => (left.created_at < right.created_at ? 1 : -1)),
  );
  const adopting = useSignal<Device | null>(null);
  if (seen.value.length === 0) return null;
  return (
    <Panel title={t.devices.seen_title} count={f.number(seen.value.length)} class="full seen">
      <p class="lead">{t.devices.seen_lead}</p>
      <ul class="rows">
        {seen.value.map((device) => (
          <li key={device.id} class="seen-row">
            <span>
              {device.name ? <b>{device.name} </b> : null}
              <span class="mono">{device.id}</span>
            </span>
            <span class="dim">
              <Lookup record={t.devices.formats} name={device.format} /> · {t.devices.kept(device.kept_frames)} ·{" "}
              {t.devices.first_seen(f.age(Date.parse(device.created_at), pulse.now.value))}
            </span>
            <button
              type="button"
              class="small"
              aria-label={t.devices.adopt_named(device.name || device.id)}
              onClick={() => (adopting.value = device)}
            >
              {t.devices.adopt}
            </button>
          </li>
        ))}
      </ul>
      {adopting.value === null ? null : <AdoptDialog device={adopting.value} close={() => (adopting.value = null)} />}
    </Panel>
  );
}

function AdoptDialog({ device, close }: { device: Device; close: () => void }) {
  const { t } = useWords();
  const desk = useDesk();
  const school = useSchool();
  const description = useSignal(descriptionOf(device));
  const send = async (): Promise<void> => {
    const { device: adopted, replayed } = await school.client.post<Adoption>(
      `devices/${encodeURIComponent(device.id)}/adopt`,
      description.value,
    );
    school.devices.put(adopted);
    void school.loadSeries();
    desk.say(t.adoption.done(adopted.name || adopted.id, replayed));
  };
  return (
    <Dialog title={t.adoption.title(device.id)} close={close}>
      <p>{t.adoption.lead}</p>
      <Form submit={t.adoption.submit} send={send} close={close}>
        <DescriptionFields description={description} />
      </Form>
    </Dialog>
  );
}
