/** Everybody the school knows, and their cards. */

import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { useSchool, useWords } from "../desk.ts";
import type { Person } from "../gateway/shapes.ts";
import { FilterBox } from "../parts/form.tsx";
import { Icon } from "../parts/icon.tsx";
import { Moment } from "../parts/moment.tsx";
import { Available, Panel } from "../parts/panel.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { matches } from "../school/filter.ts";
import type { Words } from "../texts/language.ts";
import { AttendanceTabs } from "./attendance_tabs.tsx";
import { PersonDialog } from "./person_dialog.tsx";
import { DirectionMark } from "./tap_parts.tsx";

export function PeoplePage({ filter: asked }: { filter: string }) {
  const words = useWords();
  const { t, f } = words;
  const school = useSchool();
  const filter = useSignal(asked);
  const editing = useSignal<string | null>(null);
  const isAdding = useSignal(false);
  useEffect(() => void school.loadPeople(), [school]);
  const all = useComputed(() =>
    [...school.people.items.value.values()].sort((left, right) => f.compare(left.name, right.name)),
  );
  const rows = useComputed(() => all.value.filter((person) => matches(filter.value, [person.name, person.group])));
  const columns = useMemo(() => columnsOf(words, (person) => (editing.value = person.id)), [words]);
  const edited = editing.value === null ? undefined : school.people.items.value.get(editing.value);
  return (
    <div class="page">
      <header class="page-head">
        <h1 tabIndex={-1}>{t.attendance.title}</h1>
        <AttendanceTabs current="people" />
        <button type="button" onClick={() => (isAdding.value = true)}>
          <Icon name="plus" />
          {t.people.add}
        </button>
      </header>
      <Panel
        title={t.attendance.people}
        count={t.common.shown_of(rows.value.length, all.value.length)}
        class="full"
        aside={<FilterBox value={filter.value} hint={t.people.filter} change={(typed) => (filter.value = typed)} />}
      >
        <Available
          loading={school.people.loading.value}
          isEmpty={rows.value.length === 0}
          empty={all.value.length === 0 ? t.people.empty : t.common.nothing_matches}
          retry={() => void school.loadPeople()}
        >
          <Table
            caption={t.attendance.people}
            columns={columns}
            rows={rows.value}
            choice={filter.value}
            keyOf={(person) => person.id}
            class="people"
          />
        </Available>
      </Panel>
      {isAdding.value ? <PersonDialog person={null} close={() => (isAdding.value = false)} /> : null}
      {edited === undefined ? null : <PersonDialog person={edited} close={() => (editing.value = null)} />}
    </div>
  );
}

function columnsOf({ t }: Words, edit: (person: Person) => void): Column<Person>[] {
  return [
    {
      id: "name",
      heading: t.people.name,
      isRowHeading: true,
      order: (person) => person.name,
      cell: (person) => (
        <>
          {person.name}
          <span class="stacked dim">{person.group ?? t.people.no_group}</span>
        </>
      ),
    },
    {
      id: "group",
      heading: t.people.group,
      class: "wide",
      order: (person) => person.group ?? "",
      cell: (person) => person.group ?? <span class="dim">{t.people.no_group}</span>,
    },
    {
      id: "cards",
      heading: t.people.cards,
      order: (person) => person.cards.length,
      cell: (person) => (
        <span class={person.cards.length === 0 ? "dim" : ""}>{t.people.card_count(person.cards.length)}</span>
      ),
    },
    { id: "today", heading: t.people.today, class: "wide", cell: (person) => <LastTap person={person} /> },
    {
      id: "actions",
      heading: t.common.actions,
      isHeadingHidden: true,
      class: "actions",
      cell: (person) => (
        <button type="button" class="small" aria-label={t.people.edit_named(person.name)} onClick={() => edit(person)}>
          {t.common.edit}
        </button>
      ),
    },
  ];
}

function LastTap({ person }: { person: Person }) {
  const { t } = useWords();
  const school = useSchool();
  const last = useComputed(() => school.lastTaps.value.get(person.id)).value;
  if (last === undefined) return <span class="dim">{t.common.none}</span>;
  return (
    <span class="last-tap">
      <Moment at={last.at} /> <DirectionMark direction={last.direction} />
    </span>
  );
}
