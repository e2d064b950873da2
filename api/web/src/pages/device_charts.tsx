/** Charts of everything that a device measures, over one range of time. */

import { signal, useSignal, type Signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { useDesk, useSchool, useWords } from "../desk.ts";
import type { Client } from "../gateway/client.ts";
import type { Bucket, Device, Reading } from "../gateway/shapes.ts";
import { Choices } from "../parts/form.tsx";
import { LiveValue } from "../parts/live_value.tsx";
import { Available, Panel } from "../parts/panel.tsx";
import { TimeChart } from "../parts/time_chart.tsx";
import { RANGE_NAMES, to, type RangeName } from "../route.ts";
import { failure, type Loading } from "../school/book.ts";
import { EVERY_MS, MOST_RAW, RANGES, Trace, tracesOf, type Every } from "../school/history.ts";
import type { Latest } from "../school/series.ts";
import { label, parts, valueWithUnit } from "../texts/measurements.ts";

interface History {
  range: RangeName;
  every: Every | null;
  /** There were too many stored readings, so means stand for them. */
  isCutShort: boolean;
  traces: Map<string, Trace>;
}

interface DeviceChartsProps {
  device: Device;
  range: RangeName;
}

export function DeviceCharts({ device, range }: DeviceChartsProps) {
  const { t } = useWords();
  const desk = useDesk();
  const school = useSchool();
  const loading = useSignal<Loading>({ phase: "loading" });
  const history = useSignal<History | null>(null);
  const tries = useSignal(0);
  const changes = useMemo(() => new Map<string, Signal<number>>(), [device.id, range]);
  const measurements = school.series.measurements(device.id).value;

  useEffect(() => {
    let isWanted = true;
    let waiting: Latest[] = [];
    loading.value = { phase: "loading" };
    history.value = null;
    const end = school.series.watch(device.id, (readings) => {
      if (history.value === null) waiting.push(...readings);
      else addAll(history.value, readings, changes);
    });
    const load = async (): Promise<void> => {
      try {
        const loaded = await loadHistory(school.client, device.id, range, school.pulse.now.peek());
        if (!isWanted) return;
        // a stored reading that also came live lands on itself; in a bucket it would count twice
        if (loaded.every === null) addAll(loaded, waiting, changes);
        history.value = loaded;
        loading.value = { phase: "ready" };
      } catch (error) {
        if (isWanted) loading.value = failure(error);
      } finally {
        waiting = [];
      }
    };
    void load();
    return () => {
      isWanted = false;
      end();
    };
  }, [school, device.id, range, tries.value]);

  const every = history.value?.every ?? null;
  return (
    <Panel
      title={t.devices.values}
      class="full charts"
      aside={
        <Choices
          label={t.device.range}
          value={range}
          change={(name) => desk.go(to.device(device.id, name))}
          choices={RANGE_NAMES.map((name) => ({ value: name, label: t.device.ranges[name] }))}
        />
      }
    >
      {every === null ? null : (
        <p class="lead">
          {history.value?.isCutShort ? `${t.device.cut_short} ` : ""}
          {t.device.mean_of(t.device.every[every])}
        </p>
      )}
      <Available
        loading={loading.value}
        isEmpty={measurements.length === 0 || history.value === null}
        empty={t.device.no_measurements}
        retry={() => (tries.value += 1)}
      >
        <div class="chart-grid">
          {measurements.map((measurement) => (
            <Chart
              key={measurement}
              device={device}
              measurement={measurement}
              range={range}
              history={history.value as History}
              changes={changesOf(changes, measurement)}
            />
          ))}
        </div>
      </Available>
    </Panel>
  );
}

interface ChartProps {
  device: Device;
  measurement: string;
  range: RangeName;
  history: History;
  changes: Signal<number>;
}

function Chart({ device, measurement, range, history, changes }: ChartProps) {
  const words = useWords();
  const trace = useMemo(() => traceOf(history, measurement), [history, measurement]);
  return (
    <section class="chart" aria-label={label(measurement, words)}>
      <header>
        <h3>{label(measurement, words)}</h3>
        <LiveValue device={device.id} measurement={measurement} isOffline={device.online === false} isNamed={false} />
      </header>
      <TimeChart measurement={measurement} trace={trace} range={range} changes={changes} />
      <ChartTable measurement={measurement} trace={trace} />
    </section>
  );
}

const MOST_LISTED = 60;

/** The same as the canvas, for those who cannot see it. Drawn only while it is open. */
function ChartTable({ measurement, trace }: { measurement: string; trace: Trace }) {
  const words = useWords();
  const { t, f } = words;
  const isOpen = useSignal(false);
  const points = isOpen.value ? trace.points.slice(-MOST_LISTED).reverse() : [];
  const hasBand = trace.everyMs !== null;
  const { unit } = parts(measurement);
  return (
    <details class="as-table" onToggle={(event) => (isOpen.value = event.currentTarget.open)}>
      <summary>{t.device.as_table}</summary>
      {points.length === 0 ? (
        <p class="nothing">{t.device.no_history}</p>
      ) : (
        <table class="table">
          <thead>
            <tr>
              <th scope="col">{t.device.at}</th>
              <th scope="col" class="number">
                {t.device.value} {unit === null ? "" : `(${unit.symbol})`}
              </th>
              {hasBand ? (
                <>
                  <th scope="col" class="number">
                    {t.device.low}
                  </th>
                  <th scope="col" class="number">
                    {t.device.high}
                  </th>
                </>
              ) : null}
            </tr>
          </thead>
          <tbody>
            {points.map((point) => (
              <tr key={point.atMs}>
                <td>{hasBand ? `${f.weekday(point.atMs)} ${f.minute(point.atMs)}` : f.clock(point.atMs)}</td>
                <td class="number">{valueWithUnit(measurement, point.value, words)}</td>
                {hasBand ? (
                  <>
                    <td class="number">{valueWithUnit(measurement, point.low, words)}</td>
                    <td class="number">{valueWithUnit(measurement, point.high, words)}</td>
                  </>
                ) : null}
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </details>
  );
}

async function loadHistory(client: Client, device: string, range: RangeName, nowMs: number): Promise<History> {
  const { spanMs, every } = RANGES[range];
  const from = new Date(nowMs - spanMs).toISOString();
  if (every !== null) return loadBuckets(client, device, range, every, from, false);
  const { items, isWhole } = await client.list<Reading>("readings", { device, from }, MOST_RAW);
  if (!isWhole) return loadBuckets(client, device, range, "10s", from, true);
  return { range, every: null, isCutShort: false, traces: tracesOf(range, null, items) };
}

async function loadBuckets(
  client: Client,
  device: string,
  range: RangeName,
  every: Every,
  from: string,
  isCutShort: boolean,
): Promise<History> {
  const ask = async (agg: string): Promise<Bucket[]> =>
    (await client.list<Bucket>("readings", { device, from, every, agg })).items;
  const [means, lows, highs] = await Promise.all([ask("mean"), ask("min"), ask("max")]);
  return { range, every, isCutShort, traces: tracesOf(range, every, means, lows, highs) };
}

/** What has only just been measured for the first time begins as an empty trace. */
function traceOf(history: History, measurement: string): Trace {
  let trace = history.traces.get(measurement);
  if (trace === undefined) {
    trace = new Trace(RANGES[history.range].spanMs, history.every === null ? null : EVERY_MS[history.every], []);
    history.traces.set(measurement, trace);
  }
  return trace;
}

function addAll(history: History, readings: readonly Latest[], changes: Map<string, Signal<number>>): void {
  const changed = new Set<string>();
  for (const { measurement, atMs, value } of readings) {
    traceOf(history, measurement).add(atMs, value);
    changed.add(measurement);
  }
  for (const measurement of changed) changesOf(changes, measurement).value += 1;
}

function changesOf(changes: Map<string, Signal<number>>, measurement: string): Signal<number> {
  const known = changes.get(measurement) ?? signal(0);
  changes.set(measurement, known);
  return known;
}
