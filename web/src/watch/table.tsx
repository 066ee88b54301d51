/** What a chart shows, as a table. */

interface AsTableProps {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function AsTable({ head, rows }: AsTableProps) {
  return (
    <details class="as-table">
      <summary>Show as table</summary>
      <div class="wide" tabIndex={0} role="group" aria-label="Table">
        <table>
          <thead>
            <tr>
              {head.map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(([first, ...others], at) => (
              <tr key={at}>
                <th scope="row">{first}</th>
                {others.map((cell, column) => (
                  <td key={column}>{cell}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
