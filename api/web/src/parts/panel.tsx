/** Boxes with a heading, and what stands in them while there is nothing to show. */

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

import { useWords } from "../desk.ts";
import type { Loading } from "../school/book.ts";

interface PanelProps {
  title: string;
  count?: string;
  aside?: ComponentChildren;
  class?: string;
  children: ComponentChildren;
}

export function Panel({ title, count, aside, class: name = "", children }: PanelProps) {
  const heading = useId();
  return (
    <section class={`panel ${name}`} aria-labelledby={heading}>
      <header>
        <h2 id={heading}>
          {title}
          {count === undefined ? null : <span class="count">{count}</span>}
        </h2>
        {aside === undefined ? null : <div class="aside">{aside}</div>}
      </header>
      {children}
    </section>
  );
}

interface AvailableProps {
  loading: Loading;
  isEmpty: boolean;
  /** What to say when it was loaded and nothing is there. */
  empty: string;
  retry?: () => void;
  children: ComponentChildren;
}

/** The children once there is something; until then the plain reason why there is not. Never an empty box. */
export function Available({ loading, isEmpty, empty, retry, children }: AvailableProps) {
  const { t } = useWords();
  if (!isEmpty) return <>{children}</>;
  switch (loading.phase) {
    case "loading":
      return <p class="nothing">{t.common.loading}</p>;
    case "ready":
      return <p class="nothing">{empty}</p>;
    case "forbidden":
      return <p class="nothing">{t.problem.load_forbidden}</p>;
    case "failed":
      return (
        <div class="nothing problem">
          <p>{t.problem.load_failed(loading.detail ?? t.problem.unreachable)}</p>
          {retry === undefined ? null : (
            <button type="button" onClick={retry}>
              {t.common.retry}
            </button>
          )}
        </div>
      );
  }
}
