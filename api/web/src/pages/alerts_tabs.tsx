/** Alerts, and the rules that raise them. */

import { useWords } from "../desk.ts";
import { Tabs } from "../parts/tabs.tsx";
import { to } from "../route.ts";

export function AlertsTabs({ current }: { current: "list" | "rules" }) {
  const { t } = useWords();
  return (
    <Tabs
      label={t.alerts.title}
      tabs={[
        { label: t.alerts.list, href: to.alerts(), isCurrent: current === "list" },
        { label: t.alerts.rules, href: to.rules, isCurrent: current === "rules" },
      ]}
    />
  );
}
