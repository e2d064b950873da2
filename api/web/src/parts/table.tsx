/** A dense table that sorts by its headings and draws long lists as far as somebody looks. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { memo } from "preact/compat";
import { useEffect, useMemo, useRef } from "preact/hooks";

import { useWords } from "../desk.ts";

export interface Column<Row> {
  id: string;
  heading: string;
  cell: (row: Row) => ComponentChildren;
  /** What the column sorts by; without it the heading is no button. */
  order?: (row: Row) => string | number;
  /** `wide` columns are left out on narrow screens, where the cell named `stacked` repeats what matters. */
  class?: string;
  isHeadingHidden?: boolean;
  /** Names the row for readers of the screen. */
  isRowHeading?: boolean;
}

interface TableProps<Row> {
  caption: string;
  /** Must stay the same object as long as it means the same, so that unchanged rows are left alone. */
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf: (row: Row) => string;
  rowClass?: (row: Row) => string;
  class?: string;
  /** What the rows were picked by: another choice begins at the top again. */
  choice?: string;
}

const FIRST_ROWS = 120;
const MORE_ROWS = 240;

export function Table<Row>({
  caption,
  columns,
  rows,
  keyOf,
  rowClass,
  class: name = "",
  choice = "",
}: TableProps<Row>) {
  const { t, f } = useWords();
  const sort = useSignal<{ column: string; isDown: boolean } | null>(null);
  const shown = useSignal(FIRST_ROWS);
  const chosen = useRef(choice);
  if (chosen.current !== choice) {
    chosen.current = choice;
    shown.value = FIRST_ROWS;
  }
  const order = sort.value;
  const sorted = useMemo(() => inOrder(rows, columns, order, f.compare), [rows, columns, order, f]);
  const visible = sorted.length > shown.value ? sorted.slice(0, shown.value) : sorted;
  const left = sorted.length - visible.length;

  const sortBy = (id: string): void => {
    const current = sort.value;
    if (current?.column !== id) sort.value = { column: id, isDown: false };
    else sort.value = current.isDown ? null : { column: id, isDown: true };
  };

  return (
    <>
      <table class={`table ${name}`}>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th
                key={column.id}
                scope="col"
                class={column.class ?? ""}
                {...(order?.column === column.id ? { "aria-sort": order.isDown ? "descending" : "ascending" } : {})}
              >
                {column.order === undefined ? (
                  <span class={column.isHeadingHidden ? "unseen" : ""}>{column.heading}</span>
                ) : (
                  <button type="button" class="sort" onClick={() => sortBy(column.id)}>
                    {column.heading}
                  </button>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {visible.map((row) => (
            <TableRow
              key={keyOf(row)}
              row={row}
              columns={columns as readonly Column<unknown>[]}
              class={rowClass?.(row) ?? ""}
            />
          ))}
        </tbody>
      </table>
      {left > 0 ? (
        <More left={left} show={() => (shown.value += MORE_ROWS)} label={t.common.more(Math.min(left, MORE_ROWS))} />
      ) : null}
    </>
  );
}

interface TableRowProps {
  row: unknown;
  columns: readonly Column<unknown>[];
  class: string;
}

const TableRow = memo(function TableRow({ row, columns, class: name }: TableRowProps) {
  return (
    <tr class={name}>
      {columns.map((column) =>
        column.isRowHeading ? (
          <th key={column.id} scope="row" class={column.class ?? ""}>
            {column.cell(row)}
          </th>
        ) : (
          <td key={column.id} class={column.class ?? ""}>
            {column.cell(row)}
          </td>
        ),
      )}
    </tr>
  );
});

/** A button that also presses itself when it scrolls near the view. */
function More({ left, show, label }: { left: number; show: () => void; label: string }) {
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (button.current === null) return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && show(), { rootMargin: "600px" });
    observer.observe(button.current);
    return () => observer.disconnect();
  }, [left]);
  return (
    <button ref={button} type="button" class="more" onClick={show}>
      {label}
    </button>
  );
}

function inOrder<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  order: { column: string; isDown: boolean } | null,
  compare: (left: string, right: string) => number,
): readonly Row[] {
  const by = columns.find((column) => column.id === order?.column)?.order;
  if (order === null || by === undefined) return rows;
  const sign = order.isDown ? -1 : 1;
  return [...rows].sort((left, right) => {
    const [before, after] = [by(left), by(right)];
    if (typeof before === "number" && typeof after === "number") return sign * (before - after);
    return sign * compare(String(before), String(after));
  });
}
