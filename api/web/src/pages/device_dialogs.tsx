/** Adding and describing devices, and the one time that a secret is shown. */

import { useComputed, useSignal, type Signal } from "@preact/signals";

import { useDesk, useSchool, useWords } from "../desk.ts";
import type { Device, DeviceSecret } from "../gateway/shapes.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Form, TextField } from "../parts/form.tsx";

/** What people say about a device. */
export interface Description {
  name: string;
  kind: string;
  place: string;
}

export function descriptionOf(device: Description): Description {
  return { name: device.name, kind: device.kind, place: device.place };
}

export function DescriptionFields({ description }: { description: Signal<Description> }) {
  const { t } = useWords();
  const { devices } = useSchool();
  const kinds = useComputed(() => distinct(devices.items.value.values(), (device) => device.kind));
  const places = useComputed(() => distinct(devices.items.value.values(), (device) => device.place));
  const change = (part: Partial<Description>): void => {
    description.value = { ...description.value, ...part };
  };
  return (
    <>
      <TextField
        label={t.device_form.name}
        isOptional
        value={description.value.name}
        change={(name) => change({ name })}
      />
      <TextField
        label={t.device_form.kind}
        hint={t.device_form.kind_hint}
        isRequired
        pattern="[a-z][a-z0-9_\-]{0,31}"
        value={description.value.kind}
        change={(kind) => change({ kind })}
        suggestions={kinds.value}
      />
      <TextField
        label={t.device_form.place}
        hint={t.device_form.place_hint}
        isOptional
        value={description.value.place}
        change={(place) => change({ place })}
        suggestions={places.value}
      />
    </>
  );
}

export function AddDeviceDialog({ close }: { close: () => void }) {
  const { t } = useWords();
  const school = useSchool();
  const id = useSignal("");
  const description = useSignal<Description>({ name: "", kind: "", place: "" });
  const made = useSignal<DeviceSecret | null>(null);
  if (made.value !== null) return <SecretDialog made={made.value} close={close} />;
  const send = async (idempotencyKey: string): Promise<void> => {
    const { secret, ...device } = await school.client.post<Device & DeviceSecret>(
      "devices",
      { id: id.value.trim(), ...description.value },
      idempotencyKey,
    );
    school.devices.put(device);
    made.value = { id: device.id, secret };
  };
  return (
    <Dialog title={t.device_form.add_title} close={close}>
      <Form submit={t.device_form.add} send={send} close={close} staysOpen>
        <TextField
          label={t.device_form.id}
          hint={t.device_form.id_hint}
          isRequired
          isMono
          hasFocus
          pattern="[A-Za-z0-9][A-Za-z0-9_.:\-]{0,63}"
          value={id.value}
          change={(typed) => (id.value = typed)}
        />
        <DescriptionFields description={description} />
      </Form>
    </Dialog>
  );
}

export function EditDeviceDialog({ device, close }: { device: Device; close: () => void }) {
  const { t } = useWords();
  const desk = useDesk();
  const school = useSchool();
  const description = useSignal(descriptionOf(device));
  const send = async (): Promise<void> => {
    const path = `devices/${encodeURIComponent(device.id)}`;
    const saved = await school.client.patch<Device>(path, description.value);
    school.devices.put(saved);
    desk.say(t.device_form.saved(saved.name || saved.id));
  };
  return (
    <Dialog title={t.device_form.edit_title(device.id)} close={close}>
      <Form submit={t.common.save} send={send} close={close}>
        <DescriptionFields description={description} />
      </Form>
    </Dialog>
  );
}

export function SecretDialog({ made, close }: { made: DeviceSecret; close: () => void }) {
  const { t } = useWords();
  const isCopied = useSignal(false);
  const trial = `mosquitto_pub -h ${location.hostname} -q 1 -u ${made.id} -P '${made.secret}' -t sg/${made.id}/telemetry -m '{"values":{"temperature_c":21.5}}'`;
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(made.secret);
    isCopied.value = true;
  };
  return (
    <Dialog title={t.secret.title(made.id)} close={close} class="secret">
      <p>{t.secret.lead}</p>
      <dl class="facts">
        <dt>{t.secret.user}</dt>
        <dd class="mono">{made.id}</dd>
        <dt>{t.secret.password}</dt>
        <dd class="mono secret-text">
          {made.secret}{" "}
          {window.isSecureContext ? (
            <button type="button" class="small" onClick={() => void copy()}>
              {isCopied.value ? t.common.copied : t.common.copy}
            </button>
          ) : null}
        </dd>
      </dl>
      <p>{t.secret.try_it}</p>
      <pre tabIndex={0}>{trial}</pre>
      <footer>
        <button type="button" class="primary" onClick={close}>
          {t.common.close}
        </button>
      </footer>
    </Dialog>
  );
}

function distinct(devices: Iterable<Device>, of: (device: Device) => string): string[] {
  return [...new Set(Array.from(devices, of).filter((text) => text !== ""))].sort();
}
