/** Which page is shown, and what happens when one fails. */

import type { JSX } from "preact";
import { useErrorBoundary, useLayoutEffect } from "preact/hooks";

import { SchoolContext, useDesk, useWords } from "./desk.ts";
import { Frame } from "./frame.tsx";
import { AlertsPage } from "./pages/alerts.tsx";
import { AttendancePage } from "./pages/attendance.tsx";
import { DeadLettersPage } from "./pages/dead_letters.tsx";
import { DevicePage } from "./pages/device.tsx";
import { DevicesPage } from "./pages/devices.tsx";
import { NotFoundPage } from "./pages/not_found.tsx";
import { OverviewPage } from "./pages/overview.tsx";
import { PeoplePage } from "./pages/people.tsx";
import { RulesPage } from "./pages/rules.tsx";
import { SignInPage } from "./pages/sign_in.tsx";
import { Notices } from "./parts/notices.tsx";
import { placeOf, type Route } from "./route.ts";

export function App() {
  const desk = useDesk();
  const school = desk.session.school.value;
  useLayoutEffect(() => {
    document.documentElement.dataset["theme"] = desk.theme.value;
  }, [desk.theme.value]);
  useLayoutEffect(() => {
    document.documentElement.lang = desk.words.value.f.locale;
  }, [desk.words.value]);
  if (school === null) {
    return (
      <>
        <SignInPage />
        <Notices />
      </>
    );
  }
  return (
    <SchoolContext.Provider value={school}>
      <Frame>
        <Guarded key={placeOf(desk.route.value)}>
          <Page route={desk.route.value} />
        </Guarded>
      </Frame>
      <Notices />
    </SchoolContext.Provider>
  );
}

/** A page that fails says so; the frame around it goes on. */
function Guarded({ children }: { children: JSX.Element }) {
  const { t } = useWords();
  const [error, reset] = useErrorBoundary((caught: unknown) => console.error(caught));
  if (error === undefined) return children;
  return (
    <div class="page">
      <h1 tabIndex={-1}>{t.problem.page}</h1>
      <p>{String(error)}</p>
      <p>
        <button type="button" onClick={reset}>
          {t.common.retry}
        </button>
      </p>
    </div>
  );
}

function Page({ route }: { route: Route }): JSX.Element {
  switch (route.page) {
    case "overview":
      return <OverviewPage />;
    case "devices":
      return <DevicesPage filter={route.filter} show={route.show} />;
    case "device":
      return <DevicePage id={route.id} range={route.range} />;
    case "attendance":
      return <AttendancePage filter={route.filter} />;
    case "people":
      return <PeoplePage filter={route.filter} />;
    case "alerts":
      return <AlertsPage show={route.show} />;
    case "rules":
      return <RulesPage />;
    case "dead-letters":
      return <DeadLettersPage />;
    case "not-found":
      return <NotFoundPage />;
  }
}
