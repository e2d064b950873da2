/** Finding one person among a thousand by typing, with the keys that listboxes have (WAI-ARIA combobox, by Zag). */

import * as combobox from "@zag-js/combobox";
import { normalizeProps, useMachine } from "@zag-js/preact";
import type { JSX } from "preact";
import { useId, useMemo, useState } from "preact/hooks";

import { useWords } from "../desk.ts";
import type { Person } from "../gateway/shapes.ts";
import { matches } from "../school/filter.ts";

interface PersonPickerProps {
  people: readonly Person[];
  choose: (id: string | null) => void;
}

/** More suggestions than this help nobody: type on. */
const MOST_SUGGESTED = 50;

export function PersonPicker({ people, choose }: PersonPickerProps) {
  const { t } = useWords();
  const [typed, setTyped] = useState("");
  const suggested = useMemo(
    () => people.filter((person) => matches(typed, [person.name, person.group])).slice(0, MOST_SUGGESTED),
    [people, typed],
  );
  const collection = useMemo(
    () =>
      combobox.collection({
        items: suggested,
        itemToValue: (person) => person.id,
        itemToString: (person) => person.name,
      }),
    [suggested],
  );
  const service = useMachine(combobox.machine as combobox.Machine<Person>, {
    id: useId(),
    collection,
    openOnClick: true,
    inputBehavior: "autohighlight",
    positioning: { sameWidth: true, strategy: "fixed" },
    onInputValueChange: ({ inputValue, reason }) => {
      if (reason === "input-change") setTyped(inputValue);
    },
    onValueChange: ({ value }) => choose(value[0] ?? null),
  });
  const picker = combobox.connect(service, normalizeProps);
  return (
    <div class="field" {...picker.getRootProps()}>
      <label {...picker.getLabelProps()}>{t.assignment.person}</label>
      <div {...picker.getControlProps()}>
        <input
          {...(picker.getInputProps() as JSX.IntrinsicElements["input"])}
          placeholder={t.assignment.search}
          autofocus
        />
      </div>
      <div {...picker.getPositionerProps()}>
        {picker.open ? (
          <ul class="suggestions" {...picker.getContentProps()}>
            {suggested.map((person) => (
              <li key={person.id} {...picker.getItemProps({ item: person })}>
                <span>{person.name}</span>
                <span class="dim">{person.group ?? t.people.no_group}</span>
              </li>
            ))}
            {suggested.length === 0 ? <li class="dim">{t.assignment.no_match}</li> : null}
          </ul>
        ) : null}
      </div>
    </div>
  );
}
