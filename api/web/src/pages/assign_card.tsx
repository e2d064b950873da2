/** Giving a card that nobody knew to the person who carries it. */

import { useComputed, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { useDesk, useSchool, useWords } from "../desk.ts";
import type { Card, Tap } from "../gateway/shapes.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Form } from "../parts/form.tsx";
import { Available } from "../parts/panel.tsx";
import { PersonPicker } from "../parts/person_picker.tsx";

export function AssignCardDialog({ tap, close }: { tap: Tap; close: () => void }) {
  const { t, f } = useWords();
  const desk = useDesk();
  const school = useSchool();
  const chosen = useSignal<string | null>(null);
  const people = useComputed(() =>
    [...school.people.items.value.values()].sort((left, right) => f.compare(left.name, right.name)),
  );
  useEffect(() => void school.loadPeople(), [school]);
  const send = async (idempotencyKey: string): Promise<void> => {
    const id = chosen.value ?? "";
    await school.client.post<Card>(
      `people/${encodeURIComponent(id)}/cards`,
      { ref: tap.credential_ref, kind: tap.kind },
      idempotencyKey,
    );
    await Promise.all([school.loadTaps(), school.loadPeople()]);
    desk.say(t.assignment.done(school.people.items.value.get(id)?.name ?? id));
  };
  return (
    <Dialog title={t.assignment.title} close={close}>
      <p>{t.assignment.lead(tap.credential_ref)}</p>
      <Available
        loading={school.people.loading.value}
        isEmpty={people.value.length === 0}
        empty={t.people.empty}
        retry={() => void school.loadPeople()}
      >
        <Form
          submit={t.assignment.submit}
          check={() => (chosen.value === null ? t.assignment.choose : null)}
          send={send}
          close={close}
        >
          <PersonPicker people={people.value} choose={(id) => (chosen.value = id)} />
        </Form>
      </Available>
    </Dialog>
  );
}
