/** Tables, and what a chart shows as one of them. */

import type { ComponentChildren } from "preact";

interface AsTableProps {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

interface TableProps {
  /** What it is called, for those who do not see it. */
  readonly called: string;
  readonly class?: string;
  /** What its columns are. */
  readonly head: readonly string[];
  /** The rows. */
  readonly children: ComponentChildren;
}

/** A table that is scrolled, by keyboard too, where it is wider than its place. */
export function Table({ called, class: kind, head, children }: TableProps) {
  return (
    <div class="wide" tabIndex={0} role="group" aria-label={called}>
      <table class={kind}>
        <thead>
          <tr>
            {head.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

export function AsTable({ head, rows }: AsTableProps) {
  return (
    <details class="as-table">
      <summary>Show as table</summary>
      <Table called="Table" head={head}>
        {rows.map(([first, ...others], at) => (
          <tr key={at}>
            <th scope="row">{first}</th>
            {others.map((cell, column) => (
              <td key={column}>{cell}</td>
            ))}
          </tr>
        ))}
      </Table>
    </details>
  );
}
