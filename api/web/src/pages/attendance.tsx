/** Today's taps: who, where, when, and how sure the time is. */

import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { useSchool, useWords } from "../desk.ts";
import type { Tap } from "../gateway/shapes.ts";
import { FilterBox } from "../parts/form.tsx";
import { ClockNote } from "../parts/mark.tsx";
import { Moment } from "../parts/moment.tsx";
import { Available, Panel } from "../parts/panel.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { to } from "../route.ts";
import { matches } from "../school/filter.ts";
import type { Words } from "../texts/language.ts";
import { AssignCardDialog } from "./assign_card.tsx";
import { AttendanceTabs } from "./attendance_tabs.tsx";
import { DirectionMark, TapDoor } from "./tap_parts.tsx";

export function AttendancePage({ filter: asked }: { filter: string }) {
  const words = useWords();
  const { t } = words;
  const school = useSchool();
  useEffect(() => void school.loadTaps(), [school]); // cards may have found their owners
  const filter = useSignal(asked);
  const isOnlyUnknown = useSignal(false);
  const assigning = useSignal<Tap | null>(null);
  const rows = useComputed(() => {
    const devices = school.devices.items.value;
    return school.tapsNewestFirst.value.filter((tap) => {
      if (isOnlyUnknown.value && tap.person !== null) return false;
      const reader = devices.get(tap.device);
      return matches(filter.value, [
        tap.person?.name ?? tap.credential_ref,
        tap.person?.group,
        tap.device,
        reader?.name,
        reader?.place,
      ]);
    });
  });
  const columns = useMemo(() => columnsOf(words, (tap) => (assigning.value = tap)), [words]);
  const all = school.tapsNewestFirst.value.length;
  return (
    <div class="page">
      <header class="page-head">
        <h1 tabIndex={-1}>{t.attendance.title}</h1>
        <AttendanceTabs current="taps" />
      </header>
      <Summary />
      <Panel
        title={t.attendance.taps}
        count={t.common.shown_of(rows.value.length, all)}
        class="full"
        aside={
          <>
            <FilterBox value={filter.value} hint={t.attendance.filter} change={(typed) => (filter.value = typed)} />
            <label class="check">
              <input
                type="checkbox"
                checked={isOnlyUnknown.value}
                onChange={(event) => (isOnlyUnknown.value = event.currentTarget.checked)}
              />
              {t.attendance.only_unknown}
            </label>
          </>
        }
      >
        {school.areTapsWhole.value ? null : <p class="lead">{t.attendance.not_whole}</p>}
        <Available
          loading={school.taps.loading.value}
          isEmpty={rows.value.length === 0}
          empty={all === 0 ? t.attendance.empty : t.common.nothing_matches}
          retry={() => void school.loadTaps()}
        >
          <Table
            caption={t.attendance.taps}
            columns={columns}
            rows={rows.value}
            choice={`${isOnlyUnknown.value} ${filter.value}`}
            keyOf={(tap) => tap.id}
            rowClass={(tap) => (tap.person === null ? "unknown" : "")}
            class="taps"
          />
        </Available>
      </Panel>
      {assigning.value === null ? null : (
        <AssignCardDialog tap={assigning.value} close={() => (assigning.value = null)} />
      )}
    </div>
  );
}

function Summary() {
  const { t, f } = useWords();
  const { came, inside, left, unclear, unknownCards } = useSchool().attendance.value;
  const figures: [string, number][] = [
    [t.overview.attendance, came],
    [t.attendance.inside, inside],
    [t.attendance.left, left],
    [t.attendance.unclear, unclear],
    [t.attendance.unknown_cards, unknownCards],
  ];
  return (
    <dl class="strip">
      {figures.map(([name, count]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class="number">{f.number(count)}</dd>
        </div>
      ))}
    </dl>
  );
}

function columnsOf({ t }: Words, assign: (tap: Tap) => void): Column<Tap>[] {
  return [
    { id: "time", heading: t.attendance.time, class: "age", cell: (tap) => <TapTime tap={tap} /> },
    {
      id: "person",
      heading: t.attendance.person,
      isRowHeading: true,
      order: (tap) => tap.person?.name ?? "",
      cell: (tap) => (
        <>
          {tap.person === null ? (
            <span class="unknown-card">
              {t.attendance.unknown_card} <span class="id mono">{tap.credential_ref}</span>
            </span>
          ) : (
            tap.person.name
          )}
          <span class="stacked dim">
            {tap.person?.group ? `${tap.person.group} · ` : ""}
            <TapDoor device={tap.device} />
          </span>
        </>
      ),
    },
    {
      id: "group",
      heading: t.attendance.group,
      class: "wide",
      order: (tap) => tap.person?.group ?? "",
      cell: (tap) => tap.person?.group ?? "",
    },
    {
      id: "door",
      heading: t.attendance.door,
      class: "wide",
      order: (tap) => tap.device,
      cell: (tap) => (
        <a href={to.device(tap.device)}>
          <TapDoor device={tap.device} />
        </a>
      ),
    },
    {
      id: "direction",
      heading: t.attendance.direction,
      order: (tap) => tap.direction ?? "",
      cell: (tap) => <DirectionMark direction={tap.direction} />,
    },
    {
      id: "actions",
      heading: t.common.actions,
      isHeadingHidden: true,
      class: "actions",
      cell: (tap) =>
        tap.person === null ? (
          <button
            type="button"
            class="small"
            aria-label={t.attendance.assign_named(tap.credential_ref)}
            onClick={() => assign(tap)}
          >
            {t.attendance.assign}
          </button>
        ) : null,
    },
  ];
}

/** A tap that came in much later than it was made says so. */
const LATE_MS = 60_000;

function TapTime({ tap }: { tap: Tap }) {
  const { t, f } = useWords();
  const { pulse } = useSchool();
  const receivedMs = Date.parse(tap.received_at);
  const isLate = receivedMs - Date.parse(tap.at) > LATE_MS;
  return (
    <>
      <Moment at={tap.at} />
      <ClockNote clock={tap.clock} />
      {isLate ? <span class="note">{t.attendance.received(f.moment(receivedMs, pulse.now.peek()))}</span> : null}
    </>
  );
}
