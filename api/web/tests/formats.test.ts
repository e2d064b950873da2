import assert from "node:assert/strict";
import { test } from "node:test";

import { Formats, startOfDay } from "../src/texts/formats.ts";

const english = new Formats("en-GB", "Europe/Berlin");
const german = new Formats("de-DE", "Europe/Berlin");
const NOON = Date.parse("2026-11-23T11:00:00Z");

/** Which kind of space Intl puts between number and unit is its business. */
function plain(text: string): string {
  return text.replace(/[\u00A0\u202F]/g, " ");
}

test("numbers are written as the locale writes them", () => {
  assert.equal(english.number(1234.56, 1), "1,234.6");
  assert.equal(german.number(1234.56, 1), "1.234,6");
  assert.equal(english.number(-0.01, 1), "0.0");
});

test("a figure without a known unit has at most four digits that mean something", () => {
  assert.equal(english.figure(0.000123456), "0.0001235");
  assert.equal(english.figure(21.5), "21.5");
});

test("an age is told in the unit that fits", () => {
  const age = (seconds: number): string => english.age(NOON - seconds * 1000, NOON);
  assert.equal(age(0), "0 sec ago");
  assert.equal(age(89), "89 sec ago");
  assert.equal(age(90), "2 min ago");
  assert.equal(age(3600 * 3), "3 hr ago");
  assert.equal(age(86_400 * 3), "3 days ago");
  assert.equal(german.age(NOON - 240_000, NOON), "vor 4 Min.");
});

test("a moment in the future is not turned into the past", () => {
  assert.equal(english.age(NOON + 300_000, NOON), "in 5 min");
});

test("a moment of today is a time of day, any other has its day", () => {
  assert.equal(english.moment(NOON - 1000, NOON), "11:59:59");
  assert.equal(english.moment(NOON - 86_400_000, NOON), "22 Nov, 12:00");
  assert.equal(english.moment(NOON - 365 * 86_400_000, NOON), "23 Nov 2025");
});

test("midnight is 00, not 24", () => {
  assert.equal(english.clock(Date.parse("2026-11-22T23:00:00Z")), "00:00:00");
});

test("a length of time that was set is told exactly", () => {
  assert.deepEqual(
    [30, 90, 120, 600, 3600, 7200, 86_400, 172_800, 0.5].map((count) => plain(english.seconds(count))),
    ["30 secs", "90 secs", "2 mins", "10 mins", "60 mins", "2 hrs", "24 hrs", "2 days", "0.5 secs"],
  );
});

test("plurals follow the rules of the language", () => {
  const forms = { one: "one", other: "many" };
  assert.deepEqual(
    [0, 1, 2].map((count) => english.plural(count, forms)),
    ["many", "one", "many"],
  );
  const polish = new Formats("pl");
  assert.equal(polish.plural(3, { one: "plik", few: "pliki", many: "plików", other: "pliku" }), "pliki");
});

test("sizes are told in the unit that fits", () => {
  assert.deepEqual(
    [0, 14, 1500, 8_400_000].map((count) => plain(english.bytes(count))),
    ["0 bytes", "14 bytes", "1.5 kB", "8.4 MB"],
  );
});

test("the start of the day is its midnight", () => {
  const start = new Date(startOfDay(NOON));
  assert.deepEqual([start.getHours(), start.getMinutes(), start.getSeconds()], [0, 0, 0]);
  assert.ok(NOON - start.getTime() < 86_400_000 + 3_600_000);
});

test("a school's day begins at its own midnight", () => {
  const noonUtc = Date.UTC(2026, 10, 23, 12, 34, 56, 789);
  assert.equal(startOfDay(noonUtc, "Europe/Vienna"), Date.UTC(2026, 10, 22, 23));
  assert.equal(startOfDay(noonUtc, "America/Bogota"), Date.UTC(2026, 10, 23, 5));
});
