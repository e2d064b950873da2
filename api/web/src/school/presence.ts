/** Which devices are here. Pure. */

import type { Device } from "../gateway/shapes.ts";

export const SHOWN_STATES = ["all", "online", "offline", "never", "revoked"] as const;

export type ShownState = (typeof SHOWN_STATES)[number];

/** Devices that are merely seen have a list of their own; revoked ones are shown only when asked for. */
export function isShown(device: Device, state: ShownState): boolean {
  if (device.state === "revoked") return state === "revoked";
  if (device.state !== "active") return false;
  switch (state) {
    case "all":
      return true;
    case "online":
      return device.online === true;
    case "offline":
      return device.online === false;
    case "never":
      return device.online === null;
    case "revoked":
      return false;
  }
}

/** When the device was last heard of: what the gateway noted, or a live value since then. ms, null for never. */
export function lastHeardMs(device: Device, newestValueMs: number | null): number | null {
  const notedMs = device.last_seen_at === null ? null : Date.parse(device.last_seen_at);
  if (notedMs === null) return newestValueMs;
  return newestValueMs === null ? notedMs : Math.max(notedMs, newestValueMs);
}

/** Where a device is, unless its name says that already. */
export function placeBesideName(device: Device | undefined): string {
  return device === undefined || device.name.includes(device.place) ? "" : device.place;
}

/** `air_quality` as people write it. */
export function kindInWords(kind: string): string {
  return kind.replaceAll(/[_-]+/g, " ");
}
