/** Which catalogue is read, and in whose number and date formats. */

import { de } from "./de.ts";
import { en, type Texts } from "./en.ts";
import { Formats } from "./formats.ts";

const CATALOGUES = { en, de } as const;

export type Language = keyof typeof CATALOGUES;

/** Each in its own words: whoever looks for a language reads that one. */
export const LANGUAGE_NAMES: Readonly<Record<Language, string>> = { en: "English", de: "Deutsch" };

export const LANGUAGES = Object.keys(CATALOGUES) as Language[];

export function isLanguage(value: string | null): value is Language {
  return value !== null && Object.hasOwn(CATALOGUES, value);
}

/** The first language of the reader's list that there is a catalogue for, otherwise English. */
export function preferred(wanted: readonly string[]): Language {
  for (const tag of wanted) {
    const language = tag.toLowerCase().split("-")[0] ?? "";
    if (isLanguage(language)) return language;
  }
  return "en";
}

export interface Words {
  language: Language;
  t: Texts;
  f: Formats;
}

/** The region of the reader is kept where it fits: `en-US` and `en-GB` write dates in their own way. */
export function words(language: Language, wanted: readonly string[]): Words {
  const locale = wanted.find((tag) => tag.toLowerCase().split("-")[0] === language) ?? language;
  const f = new Formats(locale);
  return { language, t: CATALOGUES[language](f), f };
}
