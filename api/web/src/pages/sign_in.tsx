/** Asking for a key, before there is anything to see. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { useDesk, useWords } from "../desk.ts";
import { Brand } from "../parts/brand.tsx";
import { LanguageButton, ThemeButton } from "../parts/tools.tsx";

export function SignInPage() {
  const desk = useDesk();
  const { t } = useWords();
  const key = useSignal("");
  const isChecking = useSignal(false);
  const isEmpty = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  const problem = desk.session.problem.value;
  const words = isEmpty.value ? t.sign_in.empty : problem === null ? null : t.sign_in[problem];

  useEffect(() => {
    document.title = `${t.sign_in.title} · ${t.product}`;
  }, [t]);

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (isChecking.value) return;
    isEmpty.value = key.value.trim() === "";
    if (!isEmpty.value) {
      isChecking.value = true;
      await desk.session.signIn(key.value.trim());
      isChecking.value = false;
    }
    field.current?.focus();
  };

  return (
    <main class="sign-in">
      <form noValidate onSubmit={(event) => void submit(event)}>
        <div class="sign-in-head">
          <Brand />
          <h1>{t.product}</h1>
        </div>
        <p>{t.sign_in.lead}</p>
        <div class="field">
          <label for="key">{t.sign_in.key}</label>
          <input
            ref={field}
            id="key"
            class="mono"
            type="password"
            autocomplete="current-password"
            spellcheck={false}
            autofocus
            aria-describedby="key-problem key-hint"
            aria-invalid={words !== null}
            value={key.value}
            onInput={(event) => (key.value = event.currentTarget.value)}
          />
          <p id="key-problem" class="form-problem" role="alert">
            {words}
          </p>
        </div>
        <button type="submit" class="primary" aria-disabled={isChecking.value}>
          {isChecking.value ? t.sign_in.checking : t.sign_in.submit}
        </button>
        <p id="key-hint" class="hint">
          {t.sign_in.hint} {t.sign_in.kept}
        </p>
        <div class="tools">
          <LanguageButton />
          <ThemeButton />
        </div>
      </form>
    </main>
  );
}
