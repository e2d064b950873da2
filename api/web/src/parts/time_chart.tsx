/** One measurement over time on a canvas (uPlot), moved along by whoever owns the trace. */

import { useSignal, useSignalEffect, type ReadonlySignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

import { useDesk, useSchool, useWords } from "../desk.ts";
import type { RangeName } from "../route.ts";
import type { Trace } from "../school/history.ts";
import type { Formats } from "../texts/formats.ts";
import type { Words } from "../texts/language.ts";
import { figure, label, valueWithUnit } from "../texts/measurements.ts";

interface TimeChartProps {
  measurement: string;
  trace: Trace;
  range: RangeName;
  /** Grows when the trace has changed. */
  changes: ReadonlySignal<number>;
}

const HEIGHT = 170;
const FONT = '11px "Inter Variable", system-ui, sans-serif';

/** Longer ranges need not slide every second. */
const SLIDE_EVERY_S: Readonly<Record<RangeName, number>> = { "1h": 1, "24h": 15, "7d": 60 };

export function TimeChart({ measurement, trace, range, changes }: TimeChartProps) {
  const words = useWords();
  const { f } = words;
  const desk = useDesk();
  const { pulse } = useSchool();
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const pointed = useSignal<number | null>(null);

  useEffect(() => {
    const element = frame.current;
    if (element === null) return;
    const chart = new uPlot(
      options(element.clientWidth, measurement, range, trace.everyMs !== null, f, pointed),
      [[], [], [], []],
      element,
    );
    plot.current = chart;
    draw(chart, trace, pulse.now.peek());
    const resize = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: HEIGHT }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      plot.current = null;
      chart.destroy();
    };
  }, [trace, measurement, range, f]);

  useSignalEffect(() => {
    changes.value;
    if (plot.current !== null) draw(plot.current, trace, pulse.now.peek());
  });
  useSignalEffect(() => {
    const nowMs = pulse.now.value;
    if (Math.floor(nowMs / 1_000) % SLIDE_EVERY_S[range] !== 0 || plot.current === null) return;
    trace.trim(nowMs);
    draw(plot.current, trace, nowMs);
  });
  useSignalEffect(() => {
    desk.theme.value;
    plot.current?.redraw(false, true);
  });

  return (
    <div class="time-chart">
      <Readout measurement={measurement} trace={trace} range={range} pointed={pointed} />
      <div ref={frame} role="img" aria-label={described(measurement, trace, changes.value, words)} />
    </div>
  );
}

/** What the pointer is on; nothing while it is elsewhere. */
function Readout({
  measurement,
  trace,
  range,
  pointed,
}: Omit<TimeChartProps, "changes"> & { pointed: ReadonlySignal<number | null> }) {
  const words = useWords();
  const { f } = words;
  const atS = pointed.value;
  const point = atS === null ? undefined : trace.points.find((kept) => Math.abs(kept.atMs / 1_000 - atS) < 0.001);
  if (point === undefined) return <p class="readout" aria-hidden="true" />;
  const moment = range === "1h" ? f.clock(point.atMs) : `${f.weekday(point.atMs)} ${f.minute(point.atMs)}`;
  const spread =
    point.low === point.high
      ? ""
      : ` (${figure(measurement, point.low, words)} – ${figure(measurement, point.high, words)})`;
  return (
    <p class="readout" aria-hidden="true">
      {moment} <b>{valueWithUnit(measurement, point.value, words)}</b>
      {spread}
    </p>
  );
}

/** `_changes`: read by the caller, so that the words follow the trace. */
function described(measurement: string, trace: Trace, _changes: number, words: Words): string {
  const { t } = words;
  const { points } = trace;
  const name = label(measurement, words);
  if (points.length === 0) return t.device.chart_empty(name);
  const low = points.reduce((lowest, point) => Math.min(lowest, point.low), Infinity);
  const high = points.reduce((highest, point) => Math.max(highest, point.high), -Infinity);
  return t.device.chart(
    name,
    points.length,
    valueWithUnit(measurement, low, words),
    valueWithUnit(measurement, high, words),
  );
}

function draw(chart: uPlot, trace: Trace, nowMs: number): void {
  const { atS, value, low, high } = trace.columns();
  chart.batch(() => {
    chart.setData([atS, value, low, high], false);
    chart.setScale("x", { min: (nowMs - trace.spanMs) / 1_000, max: nowMs / 1_000 });
  });
}

function options(
  width: number,
  measurement: string,
  range: RangeName,
  hasBand: boolean,
  f: Formats,
  pointed: { value: number | null },
): uPlot.Options {
  const axis = {
    stroke: colour("--chart-text"),
    font: FONT,
    grid: { stroke: colour("--chart-grid"), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, sync: { key: "device" }, points: { size: 7 }, drag: { x: false, y: false } },
    scales: { x: { time: true }, y: { range: (_chart, low, high) => comfortable(low, high) } },
    axes: [
      {
        ...axis,
        size: 26,
        space: 64,
        values: (_chart, splits) =>
          splits.map((atS) => (range === "7d" ? f.weekday(atS * 1_000) : f.minute(atS * 1_000))),
        ...(range === "7d" ? { incrs: [86_400, 2 * 86_400] } : {}),
      },
      { ...axis, size: 52, space: 34, values: (_chart, splits) => splits.map((value) => axisFigure(value, splits, f)) },
    ],
    series: [
      {},
      { label: measurement, stroke: colour("--chart-line"), width: 1.6, spanGaps: false, points: { size: 4 } },
      { show: hasBand, stroke: "transparent", width: 0, points: { show: false } },
      { show: hasBand, stroke: "transparent", width: 0, points: { show: false } },
    ],
    bands: hasBand
      ? [{ series: [3, 2], fill: colour("--chart-band") as unknown as CanvasRenderingContext2D["fillStyle"] }]
      : [],
    hooks: {
      setCursor: [
        (chart) => {
          const index = chart.cursor.idx;
          pointed.value = index === null || index === undefined ? null : (chart.data[0][index] ?? null);
        },
      ],
    },
  };
}

/** A course that hardly moves is not blown up to fill the height: at least 2 % of the value is shown. */
function comfortable(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null) return [0, 1];
  const least = Math.max(Math.abs(high) * 0.02, 0.5);
  const spread = Math.max(high - low, least);
  const middle = (low + high) / 2;
  return [middle - spread * 0.6, middle + spread * 0.6];
}

function axisFigure(value: number, splits: readonly number[], f: Formats): string {
  const step = splits.length > 1 ? Math.abs((splits[1] ?? 0) - (splits[0] ?? 0)) : 1;
  const digits = step >= 1 ? 0 : Math.min(3, Math.ceil(-Math.log10(step)));
  return f.number(value, digits);
}

/** Read anew at every drawing, so that a change of theme needs no new chart. */
function colour(token: string): (chart: uPlot) => string {
  return (chart) => getComputedStyle(chart.root).getPropertyValue(token);
}
