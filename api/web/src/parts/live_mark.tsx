/** Whether what one sees is live, in plain words. */

import type { LiveState } from "../gateway/live.ts";
import { useSchool, useWords } from "../desk.ts";
import { Mark } from "./mark.tsx";

const LOOKS = {
  connecting: { tone: "idle", shape: "ring" },
  live: { tone: "good", shape: "disc" },
  reconnecting: { tone: "warn", shape: "ring" },
  refused: { tone: "bad", shape: "triangle" },
} as const satisfies Record<LiveState, unknown>;

export function LiveMark() {
  const { t } = useWords();
  const { live } = useSchool();
  const state = live.value;
  return (
    <p class="live-mark" role="status">
      <Mark tone={LOOKS[state].tone} shape={LOOKS[state].shape} hint={t.live.hint[state]}>
        {t.live[state]}
      </Mark>
    </p>
  );
}
