/** Forms that send once, and say beside the field what the gateway did not like. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren, JSX, TargetedInputEvent } from "preact";
import { useId, useRef } from "preact/hooks";

import { useDesk, useWords } from "../desk.ts";
import { freshIdempotencyKey } from "../gateway/client.ts";

interface FormProps {
  submit: string;
  /** What is wrong with the entries before they are sent, null if nothing is. */
  check?: () => string | null;
  /** Sends. The key stays the same until an entry changes, so that a repeated try creates nothing twice. */
  send: (idempotencyKey: string) => Promise<void>;
  close: () => void;
  /** What was sent leads on to something else in the same place. */
  staysOpen?: boolean;
  children: ComponentChildren;
}

export function Form({ submit, check, send, close, staysOpen = false, children }: FormProps) {
  const { t } = useWords();
  const desk = useDesk();
  const isSending = useSignal(false);
  const problem = useSignal<string | null>(null);
  const idempotencyKey = useRef<string | null>(null);
  const onSubmit = async (event: Event): Promise<void> => {
    event.preventDefault();
    problem.value = check?.() ?? null;
    if (problem.value !== null || isSending.value) return;
    isSending.value = true;
    idempotencyKey.current ??= freshIdempotencyKey();
    try {
      await send(idempotencyKey.current);
      if (!staysOpen) close();
    } catch (error) {
      problem.value = desk.explain(error);
    } finally {
      isSending.value = false;
    }
  };
  return (
    <form onInput={() => (idempotencyKey.current = null)} onSubmit={(event) => void onSubmit(event)}>
      {children}
      <p class="form-problem" role="alert">
        {problem.value}
      </p>
      <footer>
        <button type="button" onClick={close}>
          {t.common.cancel}
        </button>
        <button type="submit" class="primary" aria-disabled={isSending.value}>
          {submit}
        </button>
      </footer>
    </form>
  );
}

interface FieldProps {
  label: string;
  hint?: string;
  isOptional?: boolean;
  children: (ids: { id: string; "aria-describedby"?: string }) => JSX.Element;
}

export function Field({ label, hint, isOptional = false, children }: FieldProps) {
  const { t } = useWords();
  const id = useId();
  const hintId = `${id}-hint`;
  return (
    <div class="field">
      <label for={id}>
        {label}
        {isOptional ? <span class="dim"> ({t.common.optional})</span> : null}
      </label>
      {children(hint === undefined ? { id } : { id, "aria-describedby": hintId })}
      {hint === undefined ? null : (
        <p id={hintId} class="hint">
          {hint}
        </p>
      )}
    </div>
  );
}

interface TextFieldProps extends Omit<FieldProps, "children"> {
  value: string;
  change: (value: string) => void;
  isRequired?: boolean;
  pattern?: string;
  suggestions?: readonly string[];
  isMono?: boolean;
  isNumber?: boolean;
  min?: number;
  hasFocus?: boolean;
}

export function TextField(field: TextFieldProps) {
  const list = useId();
  const suggestions = field.suggestions ?? [];
  const shared = {
    class: field.isMono ? "mono" : "",
    value: field.value,
    required: field.isRequired ?? false,
    autocomplete: "off",
    spellcheck: false,
    ...(field.hasFocus ? { autofocus: true } : {}),
    onInput: (event: TargetedInputEvent<HTMLInputElement>) => field.change(event.currentTarget.value),
  } as const;
  return (
    <Field
      label={field.label}
      isOptional={field.isOptional ?? false}
      {...(field.hint === undefined ? {} : { hint: field.hint })}
    >
      {(ids) =>
        field.isNumber ? (
          <input
            {...ids}
            {...shared}
            type="number"
            step="any"
            {...(field.min === undefined ? {} : { min: field.min })}
          />
        ) : (
          <>
            <input
              {...ids}
              {...shared}
              type="text"
              {...(field.pattern === undefined ? {} : { pattern: field.pattern })}
              {...(suggestions.length === 0 ? {} : { list })}
            />
            {suggestions.length === 0 ? null : (
              <datalist id={list}>
                {suggestions.map((suggestion) => (
                  <option key={suggestion} value={suggestion} />
                ))}
              </datalist>
            )}
          </>
        )
      }
    </Field>
  );
}

interface Choice<Value extends string> {
  value: Value;
  label: string;
  count?: string;
}

interface ChoicesProps<Value extends string> {
  label: string;
  choices: readonly Choice<Value>[];
  value: Value;
  change: (value: Value) => void;
}

/** A few choices side by side: radio buttons, so the arrow keys move between them. */
export function Choices<Value extends string>({ label, choices, value, change }: ChoicesProps<Value>) {
  const name = useId();
  return (
    <fieldset class="choices">
      <legend class="unseen">{label}</legend>
      {choices.map((choice) => (
        <label key={choice.value}>
          <input
            type="radio"
            class="unseen"
            name={name}
            value={choice.value}
            checked={choice.value === value}
            onChange={() => change(choice.value)}
          />
          <span>
            {choice.label}
            {choice.count === undefined ? null : <span class="count">{choice.count}</span>}
          </span>
        </label>
      ))}
    </fieldset>
  );
}

interface FilterBoxProps {
  value: string;
  hint: string;
  change: (value: string) => void;
}

export function FilterBox({ value, hint, change }: FilterBoxProps) {
  const { t } = useWords();
  return (
    <input
      type="search"
      class="filter"
      aria-label={`${t.common.filter}: ${hint}`}
      placeholder={hint}
      value={value}
      autocomplete="off"
      spellcheck={false}
      onInput={(event) => change(event.currentTarget.value)}
    />
  );
}
