/**
 * Finding one person among a thousand by typing: a combobox with a listbox (WAI-ARIA APG), whose keys are those of
 * `@github/combobox-nav`. The field belongs to the browser alone, so that no fast typist loses a letter.
 */

import Combobox from "@github/combobox-nav";
import { useSignal } from "@preact/signals";
import type { TargetedKeyboardEvent } from "preact";
import { useEffect, useId, useLayoutEffect, useMemo, useRef } from "preact/hooks";

import { useWords } from "../desk.ts";
import type { Person } from "../gateway/shapes.ts";
import { matches } from "../school/filter.ts";

interface PersonPickerProps {
  people: readonly Person[];
  /** null: what is typed is nobody's name yet. */
  choose: (id: string | null) => void;
}

/** More suggestions than this help nobody: type on. */
const MOST_SUGGESTED = 50;

export function PersonPicker({ people, choose }: PersonPickerProps) {
  const { t } = useWords();
  const id = useId();
  const typed = useSignal("");
  const isOpen = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const navigation = useRef<Combobox | null>(null);
  const find = (text: string): Person[] =>
    people.filter((person) => matches(text, [person.name, person.group])).slice(0, MOST_SUGGESTED);
  const suggested = useMemo(() => find(typed.value), [people, typed.value]);

  useEffect(() => field.current?.focus(), []); // it may come after its dialog has opened, when the people are loaded
  useLayoutEffect(() => {
    if (field.current === null || list.current === null || !isOpen.value) return;
    const combobox = new Combobox(field.current, list.current, {
      firstOptionSelectionMode: "selected",
      tabInsertsSuggestions: false,
    });
    combobox.start();
    navigation.current = combobox;
    return () => {
      combobox.stop();
      navigation.current = null;
    };
  }, [isOpen.value]);
  useLayoutEffect(() => navigation.current?.resetSelection(), [suggested]);

  const take = (person: Person): void => {
    if (field.current !== null) field.current.value = person.name;
    isOpen.value = false;
    choose(person.id);
  };
  /** Enter and Escape are taken here, before the list hears of them. */
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLInputElement>): void => {
    if (event.key === "ArrowDown") isOpen.value = true;
    if (!isOpen.value || event.isComposing) return;
    if (event.key === "Escape") {
      event.preventDefault(); // the first Escape closes the list, the second the dialog
      isOpen.value = false;
    } else if (event.key === "Enter") {
      event.preventDefault();
      event.stopImmediatePropagation();
      const active = document.getElementById(event.currentTarget.getAttribute("aria-activedescendant") ?? "");
      const [first] = find(event.currentTarget.value); // typed faster than it was drawn
      if (active !== null) active.click();
      else if (first !== undefined) take(first);
    }
  };
  return (
    <div class="field">
      <label for={id}>{t.assignment.person}</label>
      <input
        ref={field}
        id={id}
        type="text"
        role="combobox"
        aria-autocomplete="list"
        aria-controls={`${id}-list`}
        aria-expanded={isOpen.value}
        placeholder={t.assignment.search}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => {
          typed.value = event.currentTarget.value;
          isOpen.value = true;
          choose(null);
        }}
        onClick={() => (isOpen.value = true)}
        onKeyDown={onKeyDown}
      />
      <ul
        ref={list}
        id={`${id}-list`}
        class="suggestions"
        role="listbox"
        aria-label={t.assignment.person}
        hidden={!isOpen.value}
      >
        {suggested.map((person) => (
          <li key={person.id} id={`${id}-${person.id}`} role="option" onClick={() => take(person)}>
            <span>{person.name}</span>
            <span class="dim">{person.group ?? t.people.no_group}</span>
          </li>
        ))}
      </ul>
      <p class="hint" role="status">
        {isOpen.value && suggested.length === 0 ? t.assignment.no_match : ""}
      </p>
    </div>
  );
}
