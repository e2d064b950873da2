/** The whole school at a glance. */

import { useWords } from "../desk.ts";
import { OfflinePanel } from "./overview_devices.tsx";
import { KeyFigures } from "./overview_figures.tsx";
import { LatestTapsPanel } from "./overview_taps.tsx";
import { ValuesPanel } from "./overview_values.tsx";
import { OpenAlertsPanel } from "./overview_alerts.tsx";

export function OverviewPage() {
  const { t } = useWords();
  return (
    <div class="page overview">
      <h1 tabIndex={-1} class="unseen">
        {t.overview.title}
      </h1>
      <KeyFigures />
      <OpenAlertsPanel />
      <ValuesPanel />
      <LatestTapsPanel />
      <OfflinePanel />
    </div>
  );
}
