/** All live values, one line for each measurement: where it is lowest and highest, and how it spreads. */

import { useComputed } from "@preact/signals";

import { useSchool, useWords } from "../desk.ts";
import { Available, Panel } from "../parts/panel.tsx";
import { Spread } from "../parts/spread.tsx";
import { to } from "../route.ts";
import { kindInWords } from "../school/presence.ts";
import type { Latest } from "../school/series.ts";
import { summarise, type Summary } from "../school/summary.ts";
import { figure, label, valueWithUnit } from "../texts/measurements.ts";

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
  return (
    <Panel class="values" title={t.overview.values} aside={<a href={to.devices()}>{t.overview.all_devices}</a>}>
      <Available
        loading={school.seriesLoading.value}
        isEmpty={summaries.value.length === 0}
        empty={t.overview.no_values}
        retry={() => void school.loadSeries()}
      >
        <div class="scroll" tabIndex={0} role="region" aria-label={t.overview.values}>
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
                <SummaryRow key={`${summary.measurement} ${summary.kind}`} summary={summary} />
              ))}
            </tbody>
          </table>
        </div>
      </Available>
    </Panel>
  );
}

function SummaryRow({ summary }: { summary: Summary }) {
  const words = useWords();
  const { t } = words;
  const { measurement, kind, current, devices, median } = summary;
  const name = label(measurement, words);
  const lowest = current[0];
  const highest = current.at(-1);
  const isAllCurrent = current.length === devices;
  return (
    <tr>
      <th scope="row">
        <a href={to.devices({ filter: `${measurement} ${kind}`.trim() })}>{name}</a>
        <span class="kind dim">{kindInWords(kind)}</span>
        <span class="stacked dim">{t.overview.fresh_of(current.length, devices)}</span>
      </th>
      {median === null || lowest === undefined || highest === undefined ? (
        <>
          <td colSpan={3} class="stale">
            {t.overview.all_stale}
          </td>
          <td class="wide" />
        </>
      ) : (
        <>
          <td class="number">
            <b>{valueWithUnit(measurement, median, words)}</b>
          </td>
          <td>
            <Extreme latest={lowest} />
          </td>
          <td>
            <Extreme latest={highest} />
          </td>
          <td class="wide">
            <Spread
              values={current.map((latest) => latest.value)}
              median={median}
              label={t.overview.spread_label(current.length)}
            />
          </td>
        </>
      )}
      <td class={isAllCurrent ? "number wide dim" : "number wide"}>{t.overview.fresh_of(current.length, devices)}</td>
    </tr>
  );
}

function Extreme({ latest }: { latest: Latest }) {
  const words = useWords();
  const school = useSchool();
  const device = school.devices.items.value.get(latest.device);
  return (
    <span class="extreme">
      <b>{figure(latest.measurement, latest.value, words)}</b>{" "}
      <a href={to.device(latest.device)}>{device?.place || device?.name || latest.device}</a>
    </span>
  );
}
