/**
 * What the name of a measurement says: the gateway writes the unit at its end (`temperature_c`, `co2_ppm`).
 * Pure; the words for known quantities come from the catalogue.
 */

import type { Formats } from "./formats.ts";

export interface Unit {
  symbol: string;
  /** Decimals that are worth showing. */
  digits: number;
}

/** Longest ending first, so that `_kwh` is not read as `_h`. */
const UNITS: readonly [string, Unit][] = Object.entries({
  c: { symbol: "°C", digits: 1 },
  percent: { symbol: "%", digits: 0 },
  pct: { symbol: "%", digits: 0 },
  ppm: { symbol: "ppm", digits: 0 },
  ppb: { symbol: "ppb", digits: 0 },
  ug_m3: { symbol: "µg/m³", digits: 1 },
  mg_m3: { symbol: "mg/m³", digits: 2 },
  hpa: { symbol: "hPa", digits: 1 },
  pa: { symbol: "Pa", digits: 0 },
  bar: { symbol: "bar", digits: 2 },
  lx: { symbol: "lx", digits: 0 },
  lux: { symbol: "lx", digits: 0 },
  db: { symbol: "dB", digits: 1 },
  dba: { symbol: "dB(A)", digits: 1 },
  dbm: { symbol: "dBm", digits: 0 },
  w: { symbol: "W", digits: 1 },
  kw: { symbol: "kW", digits: 2 },
  va: { symbol: "VA", digits: 1 },
  var: { symbol: "var", digits: 1 },
  wh: { symbol: "Wh", digits: 0 },
  kwh: { symbol: "kWh", digits: 1 },
  v: { symbol: "V", digits: 1 },
  mv: { symbol: "mV", digits: 0 },
  a: { symbol: "A", digits: 2 },
  ma: { symbol: "mA", digits: 0 },
  hz: { symbol: "Hz", digits: 2 },
  k: { symbol: "K", digits: 1 },
  s: { symbol: "s", digits: 0 },
  ms: { symbol: "ms", digits: 0 },
  min: { symbol: "min", digits: 0 },
  h: { symbol: "h", digits: 1 },
  m: { symbol: "m", digits: 2 },
  mm: { symbol: "mm", digits: 1 },
  cm: { symbol: "cm", digits: 1 },
  km: { symbol: "km", digits: 2 },
  m_s: { symbol: "m/s", digits: 1 },
  km_h: { symbol: "km/h", digits: 1 },
  mm_h: { symbol: "mm/h", digits: 1 },
  m3: { symbol: "m³", digits: 2 },
  m3_h: { symbol: "m³/h", digits: 2 },
  l: { symbol: "l", digits: 1 },
  l_min: { symbol: "l/min", digits: 1 },
  kg: { symbol: "kg", digits: 2 },
  g: { symbol: "g", digits: 1 },
  deg: { symbol: "°", digits: 0 },
  w_m2: { symbol: "W/m²", digits: 0 },
  us_cm: { symbol: "µS/cm", digits: 0 },
  bytes: { symbol: "B", digits: 0 },
}).sort(([left], [right]) => right.length - left.length);

/** Splits `co2_ppm` into its quantity `co2` and its unit; a name without a known ending is all quantity. */
export function parts(name: string): { quantity: string; unit: Unit | null } {
  const found = UNITS.find(([ending]) => name.endsWith(`_${ending}`) && name.length > ending.length + 1);
  if (found === undefined) return { quantity: name, unit: null };
  const [ending, unit] = found;
  return { quantity: name.slice(0, -ending.length - 1), unit };
}

export function label(name: string, quantities: Readonly<Record<string, string>>): string {
  const { quantity } = parts(name);
  const known = Object.hasOwn(quantities, quantity) ? quantities[quantity] : undefined;
  if (known !== undefined) return known;
  const words = quantity.replaceAll("_", " ").trim();
  return words === "" ? name : words.charAt(0).toUpperCase() + words.slice(1);
}

/** The number alone, as many decimals as the unit deserves. */
export function figure(name: string, value: number, formats: Formats): string {
  const { unit } = parts(name);
  return unit === null ? formats.figure(value) : formats.number(value, unit.digits);
}

/** `21.5 °C`, with a space that does not break. */
export function valueWithUnit(name: string, value: number, formats: Formats): string {
  const { unit } = parts(name);
  const number = figure(name, value, formats);
  return unit === null ? number : `${number}\u00A0${unit.symbol}`;
}
