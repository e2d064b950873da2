/** All live values, one line for each measurement: where it is lowest and highest, and how it spreads. */

import { useComputed } from "@preact/signals";

import { useSchool, useWords } from "../desk.ts";
import { Available, Panel } from "../parts/panel.tsx";
import { Spread } from "../parts/spread.tsx";
import { to } from "../route.ts";
import { kindInWords } from "../school/presence.ts";
import type { Latest } from "../school/series.ts";
import { summarise, type Summary } from "../school/summary.ts";
import { figure, isFlag, label, valueWithUnit } from "../texts/measurements.ts";

const RENEWED_MS = 10_000;

export function ValuesPanel() {
  const { t } = useWords();
  const school = useSchool();
  const { series, pulse } = school;
  const tick = useComputed(() => Math.floor(pulse.now.value / RENEWED_MS));
  const summaries = useComputed(() => {
    series.revision.value; // renewed when a value changes, and when values may have grown old
    tick.value;
    const devices = school.devices.items.value;
    return summarise(
      Array.from(series.all(), (latest) => latest.peek()).filter(
        ({ device }) => devices.get(device)?.state !== "revoked",
      ),
      (device) => devices.get(device)?.kind ?? "",
      pulse.now.peek(),
    );
  });
  const ambiguous = useComputed(() => sharedMeasurements(summaries.value));
  return (
    <Panel class="values" title={t.overview.values} aside={<a href={to.devices()}>{t.overview.all_devices}</a>}>
      <Available
        loading={school.seriesLoading.value}
        isEmpty={summaries.value.length === 0}
        empty={t.overview.no_values}
        retry={() => void school.loadSeries()}
      >
        <div class="scroll" tabIndex={0} role="group" aria-label={t.overview.values}>
          <table class="table summaries">
            <caption class="unseen">{t.overview.values}</caption>
            <thead>
              <tr>
                <th scope="col">{t.overview.measurement}</th>
                <th scope="col" class="number">
                  {t.overview.middle}
                </th>
                <th scope="col">{t.overview.lowest}</th>
                <th scope="col">{t.overview.highest}</th>
                <th scope="col" class="wide">
                  {t.overview.spread}
                </th>
                <th scope="col" class="number wide" title={t.overview.sensors_hint}>
                  {t.overview.sensors}
                </th>
              </tr>
            </thead>
            <tbody>
              {summaries.value.map((summary) => (
                <SummaryRow
                  key={`${summary.measurement} ${summary.kind}`}
                  summary={summary}
                  isKindTold={ambiguous.value.has(summary.measurement)}
                />
              ))}
            </tbody>
          </table>
        </div>
      </Available>
    </Panel>
  );
}

/** Those that devices of more than one kind send: only there the kind has to be told. */
function sharedMeasurements(summaries: readonly Summary[]): ReadonlySet<string> {
  const seen = new Set<string>();
  return new Set(summaries.map(({ measurement }) => measurement).filter((name) => seen.has(name) || !seen.add(name)));
}

interface SummaryRowProps {
  summary: Summary;
  isKindTold: boolean;
}

function SummaryRow({ summary, isKindTold }: SummaryRowProps) {
  const words = useWords();
  const { t, f } = words;
  const { measurement, kind, current, devices, median } = summary;
  const share = current.length === devices ? f.number(devices) : t.overview.fresh_of(current.length, devices);
  return (
    <tr>
      <th scope="row">
        <a href={to.devices({ filter: `${measurement} ${kind}`.trim() })}>{label(measurement, words)}</a>
        {isKindTold ? <span class="kind dim"> {kindInWords(kind)}</span> : null}
      </th>
      {median === null ? (
        <td colSpan={3} class="stale">
          {t.overview.all_stale}
        </td>
      ) : isFlag(measurement) ? (
        <FlagCells current={current} />
      ) : (
        <RangeCells summary={summary} median={median} />
      )}
      <td class="wide">
        {median === null ? null : (
          <Spread
            values={current.map((latest) => latest.value)}
            median={median}
            label={t.overview.spread_label(current.length)}
          />
        )}
      </td>
      <td class={current.length === devices ? "number wide dim" : "number wide warn"}>{share}</td>
    </tr>
  );
}

function RangeCells({ summary, median }: { summary: Summary; median: number }) {
  const words = useWords();
  const { measurement, current } = summary;
  const lowest = current[0];
  const highest = current.at(-1);
  return (
    <>
      <td class="number">
        <b>{valueWithUnit(measurement, median, words)}</b>
      </td>
      <td>{lowest === undefined ? null : <Extreme latest={lowest} />}</td>
      <td>{highest === undefined ? null : <Extreme latest={highest} />}</td>
    </>
  );
}

/** Of what is true or false there is no lowest: what matters is how many say yes, and where. */
function FlagCells({ current }: { current: readonly Latest[] }) {
  const { t } = useWords();
  const saying = current.filter(({ value }) => value !== 0);
  return (
    <>
      <td class="number">
        <b>{t.overview.yes_count(saying.length)}</b>
      </td>
      <td colSpan={2} class="where">
        {saying.slice(0, MOST_NAMED).map((latest) => (
          <PlaceLink key={latest.device} device={latest.device} />
        ))}
      </td>
    </>
  );
}

const MOST_NAMED = 4;

function Extreme({ latest }: { latest: Latest }) {
  const words = useWords();
  return (
    <span class="extreme">
      <b>{figure(latest.measurement, latest.value, words)}</b>
      <PlaceLink device={latest.device} />
    </span>
  );
}

function PlaceLink({ device }: { device: string }) {
  const school = useSchool();
  const known = school.devices.items.value.get(device);
  return <a href={to.device(device)}>{known?.place || known?.name || device}</a>;
}
