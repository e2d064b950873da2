/** Drawn signs, 20 × 20, in the colour of the text around them. They repeat what words say, so they are hidden from readers. */

const DRAWINGS = {
  overview: "M3 3.5h6v6H3zM11 3.5h6v3.5h-6zM11 10h6v6.5h-6zM3 12.5h6v4H3z",
  devices:
    "M6.5 6.5h7v7h-7zM8.5 3v3.5M11.5 3v3.5M8.5 13.5V17M11.5 13.5V17M3 8.5h3.5M3 11.5h3.5M13.5 8.5H17M13.5 11.5H17",
  attendance: "M8 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2.5 16.5c0-3 2.4-4.8 5.5-4.8 1.4 0 2.6.3 3.6 1M12 15l2 2 3.8-4.2",
  alerts: "M5 14V9a5 5 0 0 1 10 0v5l1.5 1.5h-13zM8.3 17.6a1.8 1.8 0 0 0 3.4 0",
  dead_letters: "M2.5 5h15v10.5h-15zM2.5 5.5 10 11l7.5-5.5M12.5 12l3 3M15.5 12l-3 3",
  sun: "M10 13.2a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4zM10 2v2M10 16v2M2 10h2M16 10h2M4.3 4.3l1.4 1.4M14.3 14.3l1.4 1.4M4.3 15.7l1.4-1.4M14.3 5.7l1.4-1.4",
  moon: "M16.5 12.2A7 7 0 0 1 7.8 3.5a7 7 0 1 0 8.7 8.7z",
  sign_out: "M8 3.5H4v13h4M12.5 6.5 16 10l-3.5 3.5M16 10H7.5",
  close: "M5 5l10 10M15 5 5 15",
  plus: "M10 4v12M4 10h12",
  back: "M11.5 5 6.5 10l5 5",
  check: "M4 10.5l4 4 8-9",
} as const;

export type IconName = keyof typeof DRAWINGS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={DRAWINGS[name]} />
    </svg>
  );
}
