import assert from "node:assert/strict";
import { test } from "node:test";

import { de } from "../src/texts/de.ts";
import { en } from "../src/texts/en.ts";
import { Formats } from "../src/texts/formats.ts";
import { LANGUAGES, preferred, words } from "../src/texts/language.ts";
import { figure, label, parts, valueWithUnit } from "../src/texts/measurements.ts";

type Tree = Readonly<Record<string, unknown>>;

/** Every text by the path of its key, functions called with as many names as they take. */
function texts(tree: Tree, path = ""): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, value] of Object.entries(tree)) {
    const place = path === "" ? key : `${path}.${key}`;
    if (typeof value === "string") found.set(place, value);
    else if (typeof value === "function") {
      const given = Array.from({ length: value.length }, (_, index) => `«${index}»`);
      found.set(place, String((value as (...args: unknown[]) => unknown)(...given)));
    } else for (const [inner, text] of texts(value as Tree, place)) found.set(inner, text);
  }
  return found;
}

const english = texts(en(new Formats("en")));
const german = texts(de(new Formats("de")));

test("every language has the same keys", () => {
  assert.deepEqual([...german.keys()].sort(), [...english.keys()].sort());
});

test("no text is empty", () => {
  for (const [language, catalogue] of [["en", english] as const, ["de", german] as const]) {
    for (const [key, text] of catalogue) assert.notEqual(text.trim(), "", `${language} ${key}`);
  }
});

test("what is put into a text appears in every language", () => {
  const inserted = (text: string | undefined): string[] => [...new Set(text?.match(/«\d»/g) ?? [])].sort();
  for (const [key, text] of english) assert.deepEqual(inserted(german.get(key)), inserted(text), key);
});

test("the language is the first of the reader's that there is", () => {
  assert.equal(preferred(["fr-FR", "de-AT", "en"]), "de");
  assert.equal(preferred(["fr"]), "en");
  assert.equal(preferred([]), "en");
});

test("the region of the reader is kept", () => {
  assert.equal(words("de", ["de-AT", "en"]).f.locale, "de-AT");
  assert.equal(words("de", ["en-US"]).f.locale, "de");
});

test("every language names itself in its own catalogue", () => {
  for (const language of LANGUAGES) assert.equal(words(language, []).language, language);
});

const wording = words("en", ["en-GB"]);

test("the end of a measurement's name is its unit", () => {
  assert.deepEqual(parts("flow_temperature_c"), { quantity: "flow_temperature", unit: { symbol: "°C", digits: 1 } });
  assert.equal(parts("energy_kwh").unit?.symbol, "kWh");
  assert.equal(parts("pm2_5_ug_m3").unit?.symbol, "µg/m³");
  assert.deepEqual(parts("c"), { quantity: "c", unit: null });
  assert.deepEqual(parts("_c"), { quantity: "_c", unit: null });
});

test("a value is written with its unit, and not closer than it was measured", () => {
  assert.equal(valueWithUnit("temperature_c", 21.4567, wording), "21.5\u00A0°C");
  assert.equal(valueWithUnit("co2_ppm", 1234.4, wording), "1,234\u00A0ppm");
  assert.equal(valueWithUnit("visitors", 7, wording), "7");
});

test("a long time is told in the unit that fits", () => {
  assert.equal(valueWithUnit("uptime_s", 90, wording), "90\u00A0s");
  assert.equal(valueWithUnit("uptime_s", 9000, wording), "2.5 hrs");
});

test("what can only be true or false is told so", () => {
  assert.equal(figure("door_open", 1, wording), "yes");
  assert.equal(figure("door_open", 0, words("de", [])), "nein");
  assert.equal(figure("motion", 3, wording), "3");
});

test("an unknown quantity is named by its own words", () => {
  assert.equal(label("co2_ppm", wording), "CO₂");
  assert.equal(label("kitchen_humidity_pct", wording), "Kitchen humidity");
  assert.equal(label("constructor", wording), "Constructor");
});
