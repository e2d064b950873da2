/** The figures along the top: how much comes in, how fast it is safe, who is online, who came. */

import { useComputed } from "@preact/signals";
import type { ComponentChildren } from "preact";

import { useSchool, useWords } from "../desk.ts";
import { Sparkline } from "../parts/sparkline.tsx";
import { to } from "../route.ts";

/** A line starts with half a minute's width and grows to three. */
const LEAST_PLACES = 30;
const MOST_PLACES = 180;

/** The status comes every second; after this long without one the figures are from before. */
const OLD_STATUS_MS = 5_000;

export function KeyFigures() {
  return (
    <div class="figures">
      <Ingest />
      <Commit />
      <Online />
      <Came />
    </div>
  );
}

interface FigureProps {
  name: string;
  hint?: string;
  href?: string;
  figure: string;
  unit?: string;
  isOld?: boolean;
  notes: ComponentChildren;
  children?: ComponentChildren;
}

function Figure({ name, hint, href, figure, unit, isOld = false, notes, children }: FigureProps) {
  return (
    <section class={isOld ? "figure panel stale" : "figure panel"} aria-label={name}>
      <h2 {...(hint === undefined ? {} : { title: hint })}>{href === undefined ? name : <a href={href}>{name}</a>}</h2>
      <p class="number">
        {figure}
        {unit === undefined ? null : <span class="unit"> {unit}</span>}
      </p>
      {children}
      <p class="notes">{notes}</p>
    </section>
  );
}

/** True when the status on the screen is not of these seconds any more. */
function useIsOld(): boolean {
  const { pulse } = useSchool();
  const isOld = useComputed(() => {
    const now = pulse.status.value?.now;
    return now !== undefined && pulse.now.value - Date.parse(now) > OLD_STATUS_MS;
  });
  return isOld.value;
}

function AsOf() {
  const { t, f } = useWords();
  const { pulse } = useSchool();
  const at = pulse.status.value?.now;
  return at === undefined ? null : <>{t.overview.as_of(f.age(Date.parse(at), pulse.now.value))}</>;
}

function Ingest() {
  const { t, f } = useWords();
  const { pulse } = useSchool();
  const isOld = useIsOld();
  const ingest = pulse.status.value?.ingest;
  const started = pulse.status.value?.started_at;
  const now = pulse.now.peek();
  const rate = ingest === undefined ? null : rateOf(ingest.frames_per_s, f);
  return (
    <Figure
      name={t.overview.ingest}
      figure={rate ?? t.common.no_value}
      unit={t.overview.frames_per_s}
      isOld={isOld}
      notes={
        isOld ? (
          <AsOf />
        ) : ingest === undefined ? (
          t.common.no_data
        ) : (
          <>
            <span>
              {t.overview.messages(
                ingest.frames_total,
                started === undefined ? "" : f.moment(Date.parse(started), now),
              )}
            </span>
            {ingest.duplicates_total > 0 ? <span>{t.overview.duplicates(ingest.duplicates_total)}</span> : null}
            <Bridge />
            {ingest.refused_total > 0 ? <span>{t.overview.refused(ingest.refused_total)}</span> : null}
          </>
        )
      }
    >
      <Sparkline
        values={pulse.beats.value.slice(-MOST_PLACES).map((beat) => beat.framesPerS)}
        places={placesFor(pulse.beats.value.length)}
        label={t.overview.spark(t.overview.frames_per_s, rate ?? t.common.no_data)}
      />
    </Figure>
  );
}

/** Nothing while there is no bridge. */
function Bridge() {
  const { t } = useWords();
  const { pulse } = useSchool();
  const state = pulse.status.value?.bridge.state ?? "off";
  if (state === "off") return null;
  return <span class={state === "connected" ? "" : "warn"}>{t.overview.bridge[state]}</span>;
}

function placesFor(beats: number): number {
  return Math.min(Math.max(beats, LEAST_PLACES), MOST_PLACES);
}

function rateOf(perSecond: number, f: ReturnType<typeof useWords>["f"]): string {
  return f.number(perSecond, perSecond < 10 && perSecond > 0 ? 1 : 0);
}

function Commit() {
  const { t, f } = useWords();
  const { pulse } = useSchool();
  const isOld = useIsOld();
  const ingest = pulse.status.value?.ingest;
  const commit = ingest?.commit_ms ?? null;
  return (
    <Figure
      name={t.overview.commit}
      hint={t.overview.commit_hint}
      figure={commit === null ? t.common.no_value : f.number(commit, commit < 10 ? 1 : 0)}
      unit="ms"
      isOld={isOld}
      notes={
        isOld ? (
          <AsOf />
        ) : ingest === undefined ? (
          t.common.no_data
        ) : (
          <>
            <span>{t.overview.queue(f.percent(ingest.queue_bytes / Math.max(ingest.queue_cap_bytes, 1)))}</span>
            <span>
              <a href={to.deadLetters}>{t.overview.dead_letters(ingest.dead_letters_total)}</a>
            </span>
          </>
        )
      }
    >
      <Sparkline
        values={pulse.beats.value.slice(-MOST_PLACES).map((beat) => beat.commitMs)}
        places={placesFor(pulse.beats.value.length)}
        label={t.overview.spark(t.overview.commit, commit === null ? t.common.no_data : f.milliseconds(commit))}
      />
    </Figure>
  );
}

function Online() {
  const { t, f } = useWords();
  const { devices } = useSchool();
  const counts = useComputed(() => {
    const all = [...devices.items.value.values()];
    const active = all.filter((device) => device.state === "active");
    return {
      active: active.length,
      online: active.filter((device) => device.online === true).length,
      offline: active.filter((device) => device.online === false).length,
      never: active.filter((device) => device.online === null).length,
      seen: all.filter((device) => device.state === "seen").length,
    };
  });
  const { active, online, offline, never, seen } = counts.value;
  const isReady = devices.loading.value.phase === "ready" || active > 0;
  return (
    <Figure
      name={t.overview.online}
      href={to.devices()}
      figure={isReady ? f.number(online) : t.common.no_value}
      unit={isReady ? t.overview.of(active) : t.common.no_data}
      notes={
        <>
          {offline > 0 ? (
            <a class="warn" href={to.devices({ show: "offline" })}>
              {t.overview.not_online(offline)}
            </a>
          ) : null}
          {never > 0 ? <a href={to.devices({ show: "never" })}>{t.overview.never_said(never)}</a> : null}
          {seen > 0 ? <a href={to.devices()}>{t.overview.seen(seen)}</a> : null}
        </>
      }
    >
      <Share part={online} whole={active} />
    </Figure>
  );
}

function Came() {
  const { t, f } = useWords();
  const school = useSchool();
  const { came, inside, left, unclear, unknownCards } = school.attendance.value;
  const isReady = school.taps.loading.value.phase === "ready" || came > 0;
  const isWhole = school.areTapsWhole.value;
  const shown = isWhole ? f.number(came) : t.common.at_least(f.number(came));
  return (
    <Figure
      name={t.overview.attendance}
      href={to.attendance}
      figure={isReady ? shown : t.common.no_value}
      {...(isReady ? {} : { unit: t.common.no_data })}
      notes={
        <>
          {came > 0 ? <span>{t.overview.inside(inside)}</span> : null}
          {came > 0 ? <span>{t.overview.left(left)}</span> : null}
          {unclear > 0 ? <span>{t.overview.unclear(unclear)}</span> : null}
          {unknownCards > 0 ? <span>{t.overview.unknown_cards(unknownCards)}</span> : null}
        </>
      }
    >
      <Share part={inside} whole={came} />
    </Figure>
  );
}

/** A bar beside figures that say the same: for the eye alone. */
function Share({ part, whole }: { part: number; whole: number }) {
  return (
    <div class="share" aria-hidden="true">
      <div style={{ width: `${whole === 0 ? 0 : (100 * part) / whole}%` }} />
    </div>
  );
}
