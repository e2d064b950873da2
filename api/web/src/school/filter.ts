/** Finding rows by what somebody types. Pure. */

/** True if every word of `filter` occurs in one of the texts, whatever the case and the accents. */
export function matches(filter: string, texts: readonly (string | null | undefined)[]): boolean {
  if (filter.trim() === "") return true;
  const hay = plain(texts.filter(Boolean).join("\n"));
  return plain(filter)
    .split(/\s+/)
    .filter((word) => word !== "")
    .every((word) => hay.includes(word));
}

function plain(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}
