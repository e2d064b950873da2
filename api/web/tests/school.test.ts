import assert from "node:assert/strict";
import { test } from "node:test";

import { Refused, Unreachable } from "../src/gateway/client.ts";
import { delayMs } from "../src/gateway/live.ts";
import type { Alert, Device, Tap } from "../src/gateway/shapes.ts";
import { keyInAddress, parseRoute, to } from "../src/route.ts";
import { clearingProblem, mostUrgentFirst, subjectOf } from "../src/school/alarm.ts";
import { attendance, hasFreshUnknown, newestFirst } from "../src/school/attendance.ts";
import { Book } from "../src/school/book.ts";
import { matches } from "../src/school/filter.ts";
import { isShown, lastHeardMs } from "../src/school/presence.ts";
import { SeriesBook, type Latest } from "../src/school/series.ts";
import { summarise } from "../src/school/summary.ts";

function tap(id: number, person: string | null, minute: number, direction: Tap["direction"] = "in"): Tap {
  const at = `2026-11-23T08:${String(minute).padStart(2, "0")}:00.000000Z`;
  return {
    id: String(id),
    device: "gate",
    at,
    received_at: at,
    clock: "good",
    person: person === null ? null : { id: person, name: person, group: null },
    credential_ref: `card-${person ?? id}`,
    direction,
    kind: "uid",
  };
}

test("who came is counted by person, and where they are by the last tap that tells", () => {
  const taps = [
    tap(1, "ada", 1),
    tap(2, "ada", 9, "out"),
    tap(3, "ben", 2, "out"),
    tap(4, "ben", 5),
    tap(5, "ben", 7, null),
    tap(6, "cleo", 3, null),
    tap(7, null, 4),
  ];
  const expected = { came: 3, inside: 1, left: 1, unclear: 1, unknownCards: 1 };
  assert.deepEqual(attendance(taps), expected);
  assert.deepEqual(attendance(taps.toReversed()), expected, "in whatever order they come");
});

test("only unknown cards of the last minutes are worth asking for again", () => {
  const now = Date.parse("2026-11-23T08:10:00Z");
  assert.ok(hasFreshUnknown([tap(2, "ada", 9), tap(1, null, 7)], now));
  assert.ok(!hasFreshUnknown([tap(2, "ada", 9), tap(1, null, 2)], now));
  assert.ok(!hasFreshUnknown([], now));
});

test("the newest tap is first", () => {
  assert.deepEqual(
    [tap(1, "ada", 1), tap(3, "ada", 9), tap(2, "ada", 5)].sort(newestFirst).map(({ id }) => id),
    ["3", "2", "1"],
  );
});

function latest(device: string, value: number, atMs: number, measurement = "temperature_c"): Latest {
  return { device, measurement, value, atMs, clock: "good" };
}

test("a stale value is counted, but is part of no figure", () => {
  const now = 10_000_000;
  const values = [latest("a", 20, now), latest("b", 22, now), latest("c", 99, now - 3_600_000)];
  const [summary] = summarise(values, () => "climate", now);
  assert.deepEqual(
    [summary?.devices, summary?.median, summary?.current.map(({ device }) => device)],
    [3, 21, ["a", "b"]],
  );
});

test("a freezer's temperature is not summed up with a room's", () => {
  const values = [latest("room", 20, 0), latest("freezer", -19, 0)];
  assert.deepEqual(
    summarise(values, (device) => device, 0).map(({ kind, median }) => [kind, median]),
    [
      ["freezer", -19],
      ["room", 20],
    ],
  );
});

test("with nothing current there is no median", () => {
  const [summary] = summarise([latest("a", 20, 0)], () => "", 3_600_000);
  assert.deepEqual([summary?.median, summary?.current], [null, []]);
});

function reading(value: number, second: number, device = "lab") {
  const at = `2026-11-23T08:00:${String(second).padStart(2, "0")}.000000Z`;
  return { device, measurement: "temperature_c", at, value, clock: "good" } as const;
}

test("of one series only the newest in time is shown, whatever comes last", () => {
  const book = new SeriesBook();
  for (const [value, second] of [
    [20, 1],
    [22, 5],
    [21, 3],
  ] as const)
    book.accept(reading(value, second));
  book.flush();
  assert.equal(book.latest("lab", "temperature_c")?.value.value, 22);
  book.accept(reading(19, 4));
  book.flush();
  assert.equal(book.latest("lab", "temperature_c")?.value.value, 22);
  assert.deepEqual(book.measurements("lab").value, ["temperature_c"]);
  book.stop();
});

test("who watches a device hears every reading of it, and of no other, until the watching ends", () => {
  const book = new SeriesBook();
  const heard: number[] = [];
  const end = book.watch("lab", (readings) => heard.push(...readings.map(({ value }) => value)));
  for (const value of [1, 2, 3]) book.accept(reading(value, value));
  book.accept(reading(9, 9, "gym"));
  book.flush();
  end();
  book.accept(reading(4, 4));
  book.flush();
  assert.deepEqual(heard, [1, 2, 3]);
  book.stop();
});

test("a reading whose time cannot be read is not shown", () => {
  const book = new SeriesBook();
  book.accept({ ...reading(1, 1), at: "yesterday" });
  book.flush();
  assert.equal(book.latest("lab", "temperature_c"), undefined);
});

test("what came live while a list was under way is laid over it", async () => {
  const book = new Book<{ id: string; name: string }>();
  const answer = Promise.withResolvers<{ id: string; name: string }[]>();
  const loading = book.load(() => answer.promise);
  book.put({ id: "a", name: "live" });
  answer.resolve([
    { id: "a", name: "listed" },
    { id: "b", name: "listed" },
  ]);
  await loading;
  assert.deepEqual(
    [...book.items.value.values()].map(({ name }) => name),
    ["live", "listed"],
  );
});

test("of two loads at a time the later counts, whichever ends first", async () => {
  const book = new Book<{ id: string }>();
  const first = Promise.withResolvers<{ id: string }[]>();
  const loading = book.load(() => first.promise);
  await book.load(async () => [{ id: "second" }]);
  first.resolve([{ id: "first" }]);
  await loading;
  assert.deepEqual([...book.items.value.keys()], ["second"]);
});

test("a load that fails keeps what is shown and says why", async () => {
  const book = new Book<{ id: string }>();
  await book.load(async () => [{ id: "a" }]);
  await book.load(() => Promise.reject(new Unreachable("off")));
  assert.deepEqual([[...book.items.value.keys()], book.loading.value], [["a"], { phase: "failed", detail: null }]);
  const refused = new Refused({ type: "about:blank", title: "Forbidden", status: 403 });
  await book.load(() => Promise.reject(refused));
  assert.deepEqual(book.loading.value, { phase: "forbidden" });
});

test("what the gateway did not like is told field by field", () => {
  const details = {
    type: "about:blank",
    title: "Bad Request",
    status: 400,
    detail: "not so",
    errors: [{ field: "body.name", detail: "too long" }],
  };
  assert.equal(new Refused(details).message, "not so; body.name: too long");
});

function alert(state: Alert["state"], severity: Alert["severity"], since: string): Alert {
  return {
    id: `${state} ${severity} ${since}`,
    rule: "r",
    rule_name: "rule",
    subject: "lab/temperature_c",
    state,
    severity,
    since,
    value: 1,
    acknowledged_by: null,
    acknowledged_at: null,
  };
}

test("what fires comes first, then by severity, then the newest", () => {
  const alerts = [
    alert("pending", "critical", "1"),
    alert("firing", "warning", "1"),
    alert("firing", "critical", "1"),
    alert("firing", "critical", "2"),
    alert("unknown", "info", "1"),
  ];
  assert.deepEqual(
    alerts.sort(mostUrgentFirst).map(({ id }) => id),
    ["firing critical 2", "firing critical 1", "firing warning 1", "unknown info 1", "pending critical 1"],
  );
});

test("the subject of an alert is a device, or one of its measurements", () => {
  assert.deepEqual(subjectOf(alert("firing", "info", "1")), { device: "lab", measurement: "temperature_c" });
  assert.deepEqual(subjectOf({ ...alert("firing", "info", "1"), subject: "lab" }), {
    device: "lab",
    measurement: null,
  });
});

test("a rule cannot clear while its condition still holds", () => {
  assert.equal(clearingProblem("above", 25, 26), "clear_above");
  assert.equal(clearingProblem("below", 5, 4), "clear_below");
  assert.equal(clearingProblem("above", 25, 25), null);
});

test("a filter finds every word, in any case and with or without accents", () => {
  assert.ok(matches("jurgen 7B", ["Jürgen Müller", "7b"]));
  assert.ok(matches("  ", [null]));
  assert.ok(!matches("jurgen 8b", ["Jürgen Müller", "7b", undefined]));
});

const DEVICE: Device = {
  id: "lab",
  kind: "climate",
  name: "",
  place: "",
  state: "active",
  format: "native",
  online: null,
  last_seen_at: null,
  created_at: "2026-11-23T08:00:00Z",
  publish: [],
  subscribe: [],
  kept_frames: 0,
};

test("a device that never said is neither online nor offline", () => {
  assert.deepEqual(
    (["all", "online", "offline", "never", "revoked"] as const).filter((state) => isShown(DEVICE, state)),
    ["all", "never"],
  );
  assert.deepEqual(
    [isShown({ ...DEVICE, state: "revoked" }, "all"), isShown({ ...DEVICE, state: "seen" }, "all")],
    [false, false],
  );
});

test("a device was last heard of by its newest value, or by what the gateway noted", () => {
  assert.equal(lastHeardMs(DEVICE, null), null);
  assert.equal(lastHeardMs(DEVICE, 5), 5);
  assert.equal(lastHeardMs({ ...DEVICE, last_seen_at: "1970-01-01T00:00:01Z" }, 5), 1000);
});

test("an address and its page are the same thing", () => {
  assert.deepEqual(parseRoute(to.device("0x00:15 8d/1", "7d")), { page: "device", id: "0x00:15 8d/1", range: "7d" });
  assert.deepEqual(parseRoute(to.devices({ filter: "co2 room 4", show: "offline" })), {
    page: "devices",
    filter: "co2 room 4",
    show: "offline",
  });
  assert.deepEqual(parseRoute(""), { page: "overview" });
  assert.deepEqual(parseRoute("#/devices/lab?range=century"), { page: "device", id: "lab", range: "1h" });
  assert.deepEqual(parseRoute("#/nowhere/at/all"), { page: "not-found" });
  assert.deepEqual(parseRoute("#/devices/%"), { page: "device", id: "%", range: "1h" });
});

test("only a link that carries a key is taken for one", () => {
  assert.equal(keyInAddress("#key=sg_abc%2B1"), "sg_abc+1");
  assert.equal(keyInAddress("#key="), null);
  assert.equal(keyInAddress("#/devices?key=1"), null);
});

test("attempts come further and further apart, up to a limit, and never in step", () => {
  assert.deepEqual(
    [0, 1, 2, 20].map((attempt) => delayMs(attempt, () => 1)),
    [250, 500, 1000, 8000],
  );
  assert.deepEqual(
    [0, 20].map((attempt) => delayMs(attempt, () => 0)),
    [125, 4000],
  );
});
