/** One person: name, group, cards. */

import { useComputed, useSignal } from "@preact/signals";

import { useDesk, useSchool, useWords } from "../desk.ts";
import type { Card, CardKind, Person } from "../gateway/shapes.ts";
import { Confirm, Dialog } from "../parts/dialog.tsx";
import { Field, Form, TextField } from "../parts/form.tsx";
import { Icon } from "../parts/icon.tsx";
import { Lookup } from "../parts/lookup.tsx";

const CARD_KINDS: readonly CardKind[] = ["uid", "nfc", "qr"];

interface PersonDialogProps {
  /** null: somebody new. */
  person: Person | null;
  close: () => void;
}

export function PersonDialog({ person, close }: PersonDialogProps) {
  const { t } = useWords();
  const desk = useDesk();
  const school = useSchool();
  const name = useSignal(person?.name ?? "");
  const group = useSignal(person?.group ?? "");
  const isRemoving = useSignal(false);
  const groups = useComputed(() =>
    [...new Set(Array.from(school.people.items.value.values(), (known) => known.group ?? ""))].filter(Boolean).sort(),
  );
  const send = async (idempotencyKey: string): Promise<void> => {
    const draft = { name: name.value.trim(), group: group.value.trim() || null };
    const saved =
      person === null
        ? await school.client.post<Person>("people", draft, idempotencyKey)
        : await school.client.patch<Person>(pathOf(person), draft);
    school.people.put(saved);
    desk.say(t.people.saved(saved.name));
  };
  const remove = async (): Promise<void> => {
    if (person === null) return;
    const done = await desk.attempt(() => school.client.delete(pathOf(person)));
    if (done === null) return;
    school.people.remove(person.id);
    desk.say(t.people.removed(person.name));
    close();
    void school.loadTaps();
  };
  return (
    <Dialog title={person === null ? t.people.add_title : t.people.edit_title(person.name)} close={close}>
      <Form submit={person === null ? t.people.add : t.common.save} send={send} close={close}>
        <TextField
          label={t.people.name}
          isRequired
          hasFocus
          value={name.value}
          change={(typed) => (name.value = typed)}
        />
        <TextField
          label={t.people.group}
          isOptional
          suggestions={groups.value}
          value={group.value}
          change={(typed) => (group.value = typed)}
        />
      </Form>
      {person === null ? null : (
        <>
          <Cards person={person} />
          <p class="apart">
            <button type="button" class="danger" onClick={() => (isRemoving.value = true)}>
              {t.people.remove}
            </button>
          </p>
        </>
      )}
      {isRemoving.value && person !== null ? (
        <Confirm
          title={t.people.remove_title(person.name)}
          lead={t.people.remove_lead}
          action={t.people.remove}
          confirm={() => void remove()}
          close={() => (isRemoving.value = false)}
        />
      ) : null}
    </Dialog>
  );
}

function Cards({ person }: { person: Person }) {
  const { t } = useWords();
  const desk = useDesk();
  const school = useSchool();
  const isAdding = useSignal(false);
  const remove = async (card: Card): Promise<void> => {
    const done = await desk.attempt(() =>
      school.client.delete(`${pathOf(person)}/cards/${encodeURIComponent(card.ref)}`),
    );
    if (done === null) return;
    school.people.put({ ...person, cards: person.cards.filter((kept) => kept.ref !== card.ref) });
    desk.say(t.people.card_removed);
    void school.loadTaps();
  };
  return (
    <section class="cards">
      <h3>{t.people.cards}</h3>
      {person.cards.length === 0 ? <p class="dim">{t.people.no_cards}</p> : null}
      <ul class="rows">
        {person.cards.map((card) => (
          <li key={card.ref} class="card-row">
            <span class="mono">{card.ref}</span>
            <span class="dim">
              <Lookup record={t.people.kinds} name={card.kind} />
            </span>
            <button
              type="button"
              class="quiet only-icon"
              aria-label={t.people.remove_card(card.ref)}
              title={t.people.remove_card(card.ref)}
              onClick={() => void remove(card)}
            >
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
      {isAdding.value ? (
        <AddCard person={person} close={() => (isAdding.value = false)} />
      ) : (
        <button type="button" onClick={() => (isAdding.value = true)}>
          <Icon name="plus" />
          {t.people.add_card}
        </button>
      )}
    </section>
  );
}

function AddCard({ person, close }: { person: Person; close: () => void }) {
  const { t } = useWords();
  const desk = useDesk();
  const school = useSchool();
  const credential = useSignal("");
  const kind = useSignal<CardKind>("uid");
  const send = async (idempotencyKey: string): Promise<void> => {
    const card = await school.client.post<Card>(
      `${pathOf(person)}/cards`,
      { credential: credential.value.trim(), kind: kind.value },
      idempotencyKey,
    );
    school.people.put({ ...person, cards: [...person.cards, card] });
    desk.say(t.people.card_added(person.name));
    void school.loadTaps(); // earlier taps of this card are this person's now
  };
  return (
    <Form submit={t.people.add_card} send={send} close={close}>
      <div class="pair">
        <TextField
          label={t.people.credential}
          hint={t.people.credential_hint}
          isRequired
          isMono
          hasFocus
          value={credential.value}
          change={(typed) => (credential.value = typed)}
        />
        <Field label={t.people.kind}>
          {(ids) => (
            <select
              {...ids}
              value={kind.value}
              onChange={(event) => (kind.value = event.currentTarget.value as CardKind)}
            >
              {CARD_KINDS.map((name) => (
                <option key={name} value={name}>
                  {t.people.kinds[name]}
                </option>
              ))}
            </select>
          )}
        </Field>
      </div>
    </Form>
  );
}

function pathOf(person: Person): string {
  return `people/${encodeURIComponent(person.id)}`;
}
