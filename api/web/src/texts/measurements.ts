/**
 * What the name of a measurement says: the gateway writes the unit at its end (`temperature_c`, `co2_ppm`).
 * Pure; the words for known quantities come from the catalogue.
 */

import type { Words } from "./language.ts";

type Wording = Pick<Words, "t" | "f">;

export interface Unit {
  symbol: string;
  /** Decimals that are worth showing. */
  digits: number;
}

/** Longest ending first, so that `_kwh` is not read as `_h`. */
const UNITS: readonly [string, Unit][] = Object.entries({
  c: { symbol: "°C", digits: 1 },
  pct: { symbol: "%", digits: 0 },
  ppm: { symbol: "ppm", digits: 0 },
  ppb: { symbol: "ppb", digits: 0 },
  ug_m3: { symbol: "µg/m³", digits: 1 },
  g_m3: { symbol: "g/m³", digits: 1 },
  hpa: { symbol: "hPa", digits: 1 },
  kpa: { symbol: "kPa", digits: 1 },
  pa: { symbol: "Pa", digits: 0 },
  lx: { symbol: "lx", digits: 0 },
  db: { symbol: "dB", digits: 1 },
  dba: { symbol: "dB(A)", digits: 1 },
  dbm: { symbol: "dBm", digits: 0 },
  w: { symbol: "W", digits: 1 },
  kw: { symbol: "kW", digits: 2 },
  va: { symbol: "VA", digits: 1 },
  var: { symbol: "var", digits: 1 },
  wh: { symbol: "Wh", digits: 0 },
  kwh: { symbol: "kWh", digits: 1 },
  kvarh: { symbol: "kvarh", digits: 1 },
  v: { symbol: "V", digits: 1 },
  a: { symbol: "A", digits: 2 },
  hz: { symbol: "Hz", digits: 2 },
  k: { symbol: "K", digits: 1 },
  s: { symbol: "s", digits: 0 },
  min: { symbol: "min", digits: 0 },
  h: { symbol: "h", digits: 1 },
  m: { symbol: "m", digits: 2 },
  mm: { symbol: "mm", digits: 1 },
  cm: { symbol: "cm", digits: 1 },
  m_s: { symbol: "m/s", digits: 1 },
  mm_h: { symbol: "mm/h", digits: 1 },
  m2: { symbol: "m²", digits: 1 },
  m3: { symbol: "m³", digits: 2 },
  m3_h: { symbol: "m³/h", digits: 2 },
  kg: { symbol: "kg", digits: 2 },
  deg: { symbol: "°", digits: 0 },
  w_m2: { symbol: "W/m²", digits: 0 },
  us_cm: { symbol: "µS/cm", digits: 0 },
  bit_s: { symbol: "bit/s", digits: 0 },
  bytes: { symbol: "B", digits: 0 },
}).sort(([left], [right]) => right.length - left.length);

/** Quantities that are true or false, sent as 1 and 0. */
const FLAGS: ReadonlySet<string> = new Set([
  ...["door_open", "garage_door_open", "window_open", "open", "unlocked", "contact"],
  ...["motion", "moving", "presence", "occupancy", "vibration", "light_detected", "sound_detected"],
  ...["smoke_detected", "gas_detected", "carbon_monoxide_detected", "moisture_detected", "water_leak"],
  ...["battery_low", "battery_charging", "connected", "powered", "plugged_in", "running"],
  ...["problem", "tampered", "unsafe", "cold", "hot", "update_available"],
]);

export function parts(name: string): { quantity: string; unit: Unit | null } {
  const found = UNITS.find(([ending]) => name.endsWith(`_${ending}`) && name.length > ending.length + 1);
  if (found === undefined) return { quantity: name, unit: null };
  const [ending, unit] = found;
  return { quantity: name.slice(0, -ending.length - 1), unit };
}

export function label(name: string, { t }: Wording): string {
  const { quantity } = parts(name);
  const quantities: Readonly<Record<string, string>> = t.quantities;
  const known = Object.hasOwn(quantities, quantity) ? quantities[quantity] : undefined;
  if (known !== undefined) return known;
  const spaced = quantity.replaceAll("_", " ").trim();
  return spaced === "" ? name : spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

/** True for what can only be true or false, and is sent as 1 or 0. */
export function isFlag(name: string): boolean {
  return FLAGS.has(name);
}

/** The number alone, as many decimals as the unit deserves; yes or no for what can be nothing else. */
export function figure(name: string, value: number, { t, f }: Wording): string {
  const { unit } = parts(name);
  if (unit !== null) return isLength(unit, value) ? f.roughly(value) : f.number(value, unit.digits);
  if (isFlag(name) && (value === 0 || value === 1)) return value === 1 ? t.common.yes : t.common.no;
  return f.figure(value);
}

/** `21.5 °C`, with a space that does not break. */
export function valueWithUnit(name: string, value: number, words: Wording): string {
  const { unit } = parts(name);
  const number = figure(name, value, words);
  return unit === null || isLength(unit, value) ? number : `${number}\u00A0${unit.symbol}`;
}

/** Nobody reads 9,060 s: a long time is told in minutes, hours or days. */
function isLength(unit: Unit, value: number): boolean {
  return unit.symbol === "s" && value >= 120;
}
