/** What is around every page: the bar with the places, the state of the connection, and the tools. */

import { useComputed } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { useDesk, useSchool, useWords } from "./desk.ts";
import { Brand } from "./parts/brand.tsx";
import { Icon, type IconName } from "./parts/icon.tsx";
import { LiveMark } from "./parts/live_mark.tsx";
import { LanguageButton, ThemeButton } from "./parts/tools.tsx";
import { placeOf, to, type Route } from "./route.ts";

export function Frame({ children }: { children: ComponentChildren }) {
  const desk = useDesk();
  const { t } = useWords();
  const school = useSchool();
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  const route = desk.route.value;
  const place = placeOf(route);
  const name = school.pulse.status.value?.school ?? "";

  useEffect(() => {
    const heading = main.current?.querySelector("h1");
    document.title = [heading?.textContent, name || t.product].filter(Boolean).join(" · ");
  }, [place, t, name]);
  useEffect(() => {
    if (isFirst.current) {
      isFirst.current = false;
      return;
    }
    window.scrollTo(0, 0);
    main.current?.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
  }, [place]);

  return (
    <>
      <a
        class="skip"
        href="#content"
        onClick={(event) => {
          event.preventDefault(); // the address after # belongs to the pages
          main.current?.focus();
        }}
      >
        {t.skip}
      </a>
      <header class="bar">
        <a class="brand" href={to.overview}>
          <Brand />
          <span class="brand-name">{name || t.product}</span>
        </a>
        <Navigation route={route} />
        <LiveMark />
        <div class="tools">
          <LanguageButton />
          <ThemeButton />
          <button
            type="button"
            class="quiet only-icon"
            aria-label={t.bar.sign_out}
            title={t.bar.sign_out}
            onClick={() => desk.session.signOut()}
          >
            <Icon name="sign_out" />
          </button>
        </div>
      </header>
      <GatewayClockWarning />
      <main id="content" ref={main} tabIndex={-1}>
        {children}
      </main>
    </>
  );
}

interface Place {
  name: "overview" | "devices" | "attendance" | "alerts" | "dead_letters";
  href: string;
  icon: IconName;
  pages: readonly Route["page"][];
}

const PLACES: readonly Place[] = [
  { name: "overview", href: to.overview, icon: "overview", pages: ["overview"] },
  { name: "devices", href: to.devices(), icon: "devices", pages: ["devices", "device"] },
  { name: "attendance", href: to.attendance, icon: "attendance", pages: ["attendance", "people"] },
  { name: "alerts", href: to.alerts(), icon: "alerts", pages: ["alerts", "rules"] },
  { name: "dead_letters", href: to.deadLetters, icon: "dead_letters", pages: ["dead-letters"] },
];

function Navigation({ route }: { route: Route }) {
  const { t } = useWords();
  const { alerts } = useSchool();
  const firing = useComputed(() => [...alerts.items.value.values()].filter((alert) => alert.state === "firing").length);
  return (
    <nav class="places" aria-label={t.nav.label}>
      <ul>
        {PLACES.map(({ name, href, icon, pages }) => (
          <li key={name}>
            <a href={href} {...(pages.includes(route.page) ? { "aria-current": "page" as const } : {})}>
              <Icon name={icon} />
              <span>{t.nav[name]}</span>
              {name === "alerts" && firing.value > 0 ? (
                <span class="badge" title={t.nav.alerts_firing(firing.value)}>
                  <span aria-hidden="true">{firing.value}</span>
                  <span class="unseen">{t.nav.alerts_firing(firing.value)}</span>
                </span>
              ) : null}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function GatewayClockWarning() {
  const { t } = useWords();
  const { pulse } = useSchool();
  if (pulse.status.value?.clock_right !== false) return null;
  return (
    <p class="warning-strip" role="alert">
      {t.clock.gateway_wrong}
    </p>
  );
}
