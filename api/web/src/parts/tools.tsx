/** The buttons that every page has: theme and language. */

import { useDesk, useWords } from "../desk.ts";
import { LANGUAGE_NAMES, LANGUAGES } from "../texts/language.ts";
import { Icon } from "./icon.tsx";

export function ThemeButton() {
  const desk = useDesk();
  const { t } = useWords();
  const isDark = desk.theme.value === "dark";
  const words = isDark ? t.bar.to_light : t.bar.to_dark;
  return (
    <button
      type="button"
      class="quiet only-icon"
      aria-label={words}
      title={words}
      onClick={() => desk.chooseTheme(isDark ? "light" : "dark")}
    >
      <Icon name={isDark ? "sun" : "moon"} />
    </button>
  );
}

/** Goes round the languages; it names the next one in that language's own words. */
export function LanguageButton() {
  const desk = useDesk();
  const { t, language } = useWords();
  const next = LANGUAGES[(LANGUAGES.indexOf(language) + 1) % LANGUAGES.length] ?? language;
  return (
    <button
      type="button"
      class="quiet language"
      title={t.bar.to_language(LANGUAGE_NAMES[next])}
      onClick={() => desk.chooseLanguage(next)}
    >
      <span class="unseen">{t.bar.to_language("")}</span>
      <span lang={next}>{LANGUAGE_NAMES[next]}</span>
    </button>
  );
}
