/** The course of one figure over the last minutes, in the height of a line of text. */

import { course, HEIGHT, WIDTH } from "./course.ts";

interface SparklineProps {
  /** Oldest first; null where nothing is known, which leaves a gap. */
  values: readonly (number | null)[];
  /** How many values fill the width; younger lines start at the right. */
  places: number;
  label: string;
}

export function Sparkline({ values, places, label }: SparklineProps) {
  const { line, area } = course(values, places);
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <path class="area" d={area} />
      <path class="line" d={line} />
    </svg>
  );
}
