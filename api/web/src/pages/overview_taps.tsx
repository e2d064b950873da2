/** Who just came and went. */

import { useSchool, useWords } from "../desk.ts";
import { ClockNote } from "../parts/mark.tsx";
import { Moment } from "../parts/moment.tsx";
import { Available, Panel } from "../parts/panel.tsx";
import { to } from "../route.ts";
import { DirectionMark, TapDoor } from "./tap_parts.tsx";

const MOST_SHOWN = 60;

export function LatestTapsPanel() {
  const { t, f } = useWords();
  const school = useSchool();
  const taps = school.tapsNewestFirst.value;
  const count = f.number(taps.length);
  return (
    <Panel
      class="latest-taps"
      title={t.overview.taps}
      count={school.areTapsWhole.value ? count : t.common.at_least(count)}
      aside={<a href={to.attendance}>{t.overview.all_taps}</a>}
    >
      <Available
        loading={school.taps.loading.value}
        isEmpty={taps.length === 0}
        empty={t.overview.no_taps}
        retry={() => void school.loadTaps()}
      >
        <ol class="rows scroll" tabIndex={0} aria-label={t.overview.taps}>
          {taps.slice(0, MOST_SHOWN).map((tap) => (
            <li key={tap.id} class="tap-row">
              <Moment at={tap.at} />
              <span class="who">
                {tap.person === null ? (
                  <span class="unknown-card">{t.attendance.unknown_card}</span>
                ) : (
                  <>
                    <b>{tap.person.name}</b> <span class="dim">{tap.person.group}</span>
                  </>
                )}
                <ClockNote clock={tap.clock} />
              </span>
              <span class="where dim">
                <TapDoor device={tap.device} />
              </span>
              <DirectionMark direction={tap.direction} />
            </li>
          ))}
        </ol>
      </Available>
    </Panel>
  );
}
