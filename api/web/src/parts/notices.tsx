/** What just happened, said once, also to readers of the screen. */

import { useDesk, useWords } from "../desk.ts";
import { Icon } from "./icon.tsx";

export function Notices() {
  const desk = useDesk();
  const { t } = useWords();
  return (
    <div class="notices" role="status" aria-live="polite">
      {desk.notices.value.map((notice) => (
        <div key={notice.number} class={notice.isProblem ? "notice problem" : "notice"}>
          <p>{notice.text}</p>
          <button
            type="button"
            class="quiet only-icon"
            aria-label={t.common.close}
            title={t.common.close}
            onClick={() => desk.dismiss(notice.number)}
          >
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
