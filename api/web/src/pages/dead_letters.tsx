/** Messages that could not be read. */

import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { useDesk, useSchool, useWords } from "../desk.ts";
import type { DeadLetter, Replay } from "../gateway/shapes.ts";
import { Confirm, Dialog } from "../parts/dialog.tsx";
import { FilterBox } from "../parts/form.tsx";
import { Moment } from "../parts/moment.tsx";
import { Available, Panel } from "../parts/panel.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { to } from "../route.ts";
import { matches } from "../school/filter.ts";
import type { Words } from "../texts/language.ts";

export function DeadLettersPage() {
  const words = useWords();
  const { t } = words;
  const desk = useDesk();
  const school = useSchool();
  const filter = useSignal("");
  const viewing = useSignal<DeadLetter | null>(null);
  const removing = useSignal<DeadLetter | null>(null);
  const total = useComputed(() => school.pulse.status.value?.ingest.dead_letters_total).value;
  useEffect(() => void school.loadDeadLetters(), [school, total]); // a new one shows in the count first
  const all = useComputed(() =>
    [...school.deadLetters.items.value.values()].sort((left, right) => (left.received_at < right.received_at ? 1 : -1)),
  );
  const rows = useComputed(() =>
    all.value.filter((letter) => matches(filter.value, [letter.reason, letter.topic, letter.device])),
  );
  const columns = useMemo(() => columnsOf(words, (letter) => (viewing.value = letter)), [words]);
  const replay = async (letter: DeadLetter): Promise<void> => {
    const done = await desk.attempt(() => school.client.post<Replay>(`${pathOf(letter)}/replay`));
    if (done === null) return;
    const { replayed, reason } = done.answer;
    desk.say(replayed ? t.dead_letters.replayed : t.dead_letters.not_replayed(reason ?? t.common.unknown), !replayed);
    if (!replayed) return;
    viewing.value = null;
    await school.loadDeadLetters();
  };
  const remove = async (letter: DeadLetter): Promise<void> => {
    const done = await desk.attempt(() => school.client.delete(pathOf(letter)));
    if (done === null) return;
    school.deadLetters.remove(letter.id);
    viewing.value = null;
    desk.say(t.dead_letters.removed);
  };
  return (
    <div class="page">
      <header class="page-head">
        <h1 tabIndex={-1}>{t.dead_letters.title}</h1>
      </header>
      <Panel
        title={t.dead_letters.title}
        count={t.common.shown_of(rows.value.length, all.value.length)}
        class="full"
        aside={
          <FilterBox value={filter.value} hint={t.dead_letters.filter} change={(typed) => (filter.value = typed)} />
        }
      >
        <p class="lead">{t.dead_letters.lead}</p>
        <Available
          loading={school.deadLetters.loading.value}
          isEmpty={rows.value.length === 0}
          empty={all.value.length === 0 ? t.dead_letters.empty : t.common.nothing_matches}
          retry={() => void school.loadDeadLetters()}
        >
          <Table
            caption={t.dead_letters.title}
            columns={columns}
            rows={rows.value}
            choice={filter.value}
            keyOf={(letter) => letter.id}
            class="letters"
          />
        </Available>
      </Panel>
      {viewing.value === null ? null : (
        <LetterDialog
          letter={viewing.value}
          replay={replay}
          remove={(letter) => (removing.value = letter)}
          close={() => (viewing.value = null)}
        />
      )}
      {removing.value === null ? null : (
        <Confirm
          title={t.dead_letters.remove_title}
          lead={t.dead_letters.remove_lead}
          action={t.common.delete}
          confirm={() => void (removing.value === null || remove(removing.value))}
          close={() => (removing.value = null)}
        />
      )}
    </div>
  );
}

interface LetterDialogProps {
  letter: DeadLetter;
  replay: (letter: DeadLetter) => Promise<void>;
  remove: (letter: DeadLetter) => void;
  close: () => void;
}

function LetterDialog({ letter, replay, remove, close }: LetterDialogProps) {
  const { t, f } = useWords();
  const isReplaying = useSignal(false);
  const shownBytes = new TextEncoder().encode(letter.payload).length;
  const onReplay = async (): Promise<void> => {
    if (isReplaying.value) return;
    isReplaying.value = true;
    await replay(letter);
    isReplaying.value = false;
  };
  return (
    <Dialog title={letter.topic} close={close} class="letter">
      <dl class="facts">
        <dt>{t.dead_letters.reason}</dt>
        <dd>{letter.reason}</dd>
        <dt>{t.dead_letters.device}</dt>
        <dd>
          <LetterDevice letter={letter} />
        </dd>
        <dt>{t.dead_letters.received}</dt>
        <dd>{f.exact(Date.parse(letter.received_at))}</dd>
        <dt>{t.dead_letters.size}</dt>
        <dd>{f.bytes(letter.size)}</dd>
      </dl>
      <h3>{t.dead_letters.payload}</h3>
      {letter.payload === "" ? (
        <p class="dim">{t.dead_letters.payload_empty}</p>
      ) : (
        <pre class="payload" tabIndex={0}>
          {letter.payload}
        </pre>
      )}
      {letter.size > 4096 ? (
        <p class="hint">{t.dead_letters.payload_cut(f.bytes(Math.min(4096, shownBytes)), f.bytes(letter.size))}</p>
      ) : null}
      <footer>
        <button type="button" class="danger" onClick={() => remove(letter)}>
          {t.common.delete}
        </button>
        <button type="button" class="primary" aria-disabled={isReplaying.value} onClick={() => void onReplay()}>
          {t.dead_letters.replay}
        </button>
      </footer>
    </Dialog>
  );
}

function LetterDevice({ letter }: { letter: DeadLetter }) {
  const { t } = useWords();
  const school = useSchool();
  if (letter.device === null) return <span class="dim">{t.dead_letters.no_device}</span>;
  return <a href={to.device(letter.device)}>{school.deviceName(letter.device)}</a>;
}

function columnsOf({ t, f }: Words, view: (letter: DeadLetter) => void): Column<DeadLetter>[] {
  return [
    {
      id: "received",
      heading: t.dead_letters.received,
      class: "age",
      order: (letter) => letter.received_at,
      cell: (letter) => <Moment at={letter.received_at} />,
    },
    {
      id: "reason",
      heading: t.dead_letters.reason,
      isRowHeading: true,
      order: (letter) => letter.reason,
      cell: (letter) => (
        <>
          {letter.reason}
          <span class="stacked dim mono">{letter.topic}</span>
        </>
      ),
    },
    {
      id: "topic",
      heading: t.dead_letters.topic,
      class: "wide mono",
      order: (letter) => letter.topic,
      cell: (letter) => letter.topic,
    },
    {
      id: "device",
      heading: t.dead_letters.device,
      class: "wide",
      order: (letter) => letter.device ?? "",
      cell: (letter) => <LetterDevice letter={letter} />,
    },
    {
      id: "size",
      heading: t.dead_letters.size,
      class: "wide number",
      order: (letter) => letter.size,
      cell: (letter) => f.bytes(letter.size),
    },
    {
      id: "actions",
      heading: t.common.actions,
      isHeadingHidden: true,
      class: "actions",
      cell: (letter) => (
        <button
          type="button"
          class="small"
          aria-label={t.dead_letters.view_named(letter.topic)}
          onClick={() => view(letter)}
        >
          {t.dead_letters.view}
        </button>
      ),
    },
  ];
}

function pathOf(letter: DeadLetter): string {
  return `dead-letters/${encodeURIComponent(letter.id)}`;
}
