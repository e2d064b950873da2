/** The two halves of attendance. */

import { useWords } from "../desk.ts";
import { Tabs } from "../parts/tabs.tsx";
import { to } from "../route.ts";

export function AttendanceTabs({ current }: { current: "taps" | "people" }) {
  const { t } = useWords();
  return (
    <Tabs
      label={t.attendance.title}
      tabs={[
        { label: t.attendance.taps, href: to.attendance, isCurrent: current === "taps" },
        { label: t.attendance.people, href: to.people, isCurrent: current === "people" },
      ]}
    />
  );
}
