import assert from "node:assert/strict";
import { test } from "node:test";

import { course } from "../src/parts/course.ts";
import { Trace, tracesOf, type Point } from "../src/school/history.ts";

function point(atMs: number, value: number): Point {
  return { atMs, value, low: value, high: value, count: 1 };
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test("a live reading goes where its time says, and the same one twice is there once", () => {
  const trace = new Trace(HOUR, null, [point(10, 1), point(30, 3)]);
  trace.add(20, 2);
  trace.add(40, 4);
  trace.add(20, 2);
  assert.deepEqual(
    trace.points.map(({ atMs, value }) => [atMs, value]),
    [
      [10, 1],
      [20, 2],
      [30, 3],
      [40, 4],
    ],
  );
});

test("a live reading moves the mean of its bucket, and the band around it", () => {
  const trace = new Trace(24 * HOUR, 5 * MINUTE, [{ atMs: 0, value: 20, low: 19, high: 21, count: 3 }]);
  trace.add(MINUTE, 24);
  assert.deepEqual(trace.points, [{ atMs: 0, value: 21, low: 19, high: 24, count: 4 }]);
  trace.add(5 * MINUTE, 18);
  assert.deepEqual(trace.points[1], point(5 * MINUTE, 18));
});

test("a pause that is longer than usual is drawn as a gap, not as a line", () => {
  const trace = new Trace(
    HOUR,
    null,
    [0, 10, 20, 30, 200].map((second) => point(second * 1000, 1)),
  );
  assert.deepEqual(trace.columns().value, [1, 1, 1, 1, null, 1]);
});

test("a sensor that speaks seldom has no gaps for that", () => {
  const trace = new Trace(
    24 * HOUR,
    null,
    [0, 15, 30, 45].map((minute) => point(minute * MINUTE, 1)),
  );
  assert.deepEqual(trace.columns().value, [1, 1, 1, 1]);
});

test("a bucket in which nothing came is a gap", () => {
  const trace = new Trace(
    24 * HOUR,
    5 * MINUTE,
    [0, 5, 10, 40].map((minute) => point(minute * MINUTE, 1)),
  );
  assert.deepEqual(trace.columns().value, [1, 1, 1, null, 1]);
});

test("what is older than the range is let go", () => {
  const trace = new Trace(HOUR, null, [point(0, 1), point(HOUR, 2)]);
  trace.trim(HOUR + 1);
  assert.deepEqual(
    trace.points.map(({ value }) => value),
    [2],
  );
  trace.trim(9 * HOUR);
  assert.deepEqual(trace.points, []);
});

test("means, lowest and highest values of a bucket come together by measurement and time", () => {
  const bucket = (value: number, measurement = "t") => {
    const at = "1970-01-01T01:00:00Z";
    return { device: "lab", measurement, at, value, clock: "good", count: 7 } as const;
  };
  const traces = tracesOf("7d", "1h", [bucket(20), bucket(5, "u")], [bucket(18)], [bucket(23)]);
  assert.deepEqual(traces.get("t")?.points, [{ atMs: HOUR, value: 20, low: 18, high: 23, count: 7 }]);
  assert.deepEqual(traces.get("u")?.points, [{ atMs: HOUR, value: 5, low: 5, high: 5, count: 7 }]);
});

test("a sparkline leaves out what is not known", () => {
  const { line, area } = course([1, null, 2], 3);
  assert.equal(line.match(/M/g)?.length, 2);
  assert.equal(line.includes("NaN") || area.includes("NaN"), false);
  assert.deepEqual(course([], 30), { line: "", area: "" });
});

test("a sparkline of nothing but zeros lies on the ground", () => {
  assert.match(course([0, 0], 2).line, /^M0 39L300 39$/);
});
