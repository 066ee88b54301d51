/** What a chart shows, as a table. */

interface AsTableProps {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The first row of a table: what its columns are. */
export function Head({ names }: { names: readonly string[] }) {
  return (
    <thead>
      <tr>
        {names.map((name) => (
          <th key={name} scope="col">
            {name}
          </th>
        ))}
      </tr>
    </thead>
  );
}

export function AsTable({ head, rows }: AsTableProps) {
  return (
    <details class="as-table">
      <summary>Show as table</summary>
      <div class="wide" tabIndex={0} role="group" aria-label="Table">
        <table>
          <Head names={head} />
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
