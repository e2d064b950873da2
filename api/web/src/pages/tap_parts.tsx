/** What every list of taps shows of one tap. */

import { useSchool, useWords } from "../desk.ts";
import type { Direction } from "../gateway/shapes.ts";

/** Where the reader hangs; its name if nobody told where. */
export function TapDoor({ device }: { device: string }) {
  const school = useSchool();
  const reader = school.devices.items.value.get(device);
  return <>{reader?.place || reader?.name || device}</>;
}

export function DirectionMark({ direction }: { direction: Direction | null }) {
  const { t } = useWords();
  if (direction === null) return <span class="direction dim">{t.attendance.no_direction}</span>;
  return (
    <span class={`direction ${direction}`}>
      <svg viewBox="0 0 12 12" aria-hidden="true" focusable="false">
        <path d={direction === "in" ? "M1 6h7M5 3l3 3-3 3M11 1v10" : "M11 6H4M7 3 4 6l3 3M1 1v10"} />
      </svg>
      {t.attendance.directions[direction]}
    </span>
  );
}
