/** The browser's own dialog: it keeps the focus inside, closes with Escape, and gives the focus back. */

import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";

import { useWords } from "../desk.ts";
import { Icon } from "./icon.tsx";

interface DialogProps {
  title: string;
  close: () => void;
  class?: string;
  children: ComponentChildren;
}

export function Dialog({ title, close, class: name = "", children }: DialogProps) {
  const { t } = useWords();
  const heading = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      class={name}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
    >
      <header>
        <h2 id={heading}>{title}</h2>
        <button
          type="button"
          class="quiet only-icon"
          aria-label={t.common.close}
          title={t.common.close}
          onClick={close}
        >
          <Icon name="close" />
        </button>
      </header>
      {children}
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  lead: string;
  action: string;
  isDangerous?: boolean;
  confirm: () => void;
  close: () => void;
}

/** Asks once more. The safe answer has the focus. */
export function Confirm({ title, lead, action, isDangerous = true, confirm, close }: ConfirmProps) {
  const { t } = useWords();
  return (
    <Dialog title={title} close={close}>
      <p>{lead}</p>
      <footer>
        <button type="button" autofocus onClick={close}>
          {t.common.cancel}
        </button>
        <button
          type="button"
          class={isDangerous ? "danger" : "primary"}
          onClick={() => {
            confirm(); // first: it may ask what the dialog was about
            close();
          }}
        >
          {action}
        </button>
      </footer>
    </Dialog>
  );
}
