/** How the labelled pixels are spread over classes, against how the pool is predicted to be. */

import type { Schemas } from "../api/client";
import type { Progress } from "./points";
import { AsTable } from "./table";
import { fixed, percent } from "./words";

interface SharesProps {
  readonly project: Schemas["ProjectDetail"];
  readonly progress: Progress;
}

export function Shares({ project, progress }: SharesProps) {
  const { labelled, pool } = progress;
  if (labelled === null && pool === null) return null;
  const most = Math.max(...[labelled, pool].flatMap((each) => (each === null ? [] : Object.values(each.shares))));
  const even = Math.log(project.classes.length);
  return (
    <section class="shares">
      <header>
        <h2>Classes of labelled pixels</h2>
        <ul class="legend">
          <li class="series-0">labelled</li>
          {pool !== null && <li class="series-1">predicted of the pool</li>}
        </ul>
      </header>
      <ul class="bars">
        {project.classes.map(({ id, name, color }) => (
          <li key={id}>
            <span class="swatch" style={{ backgroundColor: `rgb(${color.join(" ")})` }} />
            <span class="name">{name}</span>
            <span class="pair">
              <Bar share={labelled?.shares[name]} most={most} place={0} />
              {pool !== null && <Bar share={pool.shares[name]} most={most} place={1} />}
            </span>
          </li>
        ))}
      </ul>
      <p class="hint">{entropies(labelled?.entropy, pool?.entropy, even)}</p>
      <AsTable
        head={["Class", "Labelled", "Pool, predicted"]}
        rows={[
          ...project.classes.map(({ name }) => [name, percent(labelled?.shares[name]), percent(pool?.shares[name])]),
          ["Entropy in nats", nats(labelled?.entropy), nats(pool?.entropy)],
        ]}
      />
    </section>
  );
}

function Bar({ share, most, place }: { share: number | undefined; most: number; place: number }) {
  return (
    <span class={`bar series-${place}`}>
      <span class="filled" style={{ width: `${(72 * (share ?? 0)) / most}%` }} />
      <span class="value">{percent(share)}</span>
    </span>
  );
}

function nats(entropy: number | undefined): string {
  return entropy === undefined ? "not known" : fixed(entropy, 2);
}

/** How even classes are: asking for rare ones shows in a higher entropy than the pool's. */
export function entropies(labelled: number | undefined, pool: number | undefined, even: number): string {
  const most = `${fixed(even, 2)} where all classes have as many pixels`;
  if (labelled === undefined) return `Entropy of the pool: ${nats(pool)} nats; ${most}.`;
  if (pool === undefined) {
    return `Entropy of what is labelled: ${nats(labelled)} nats; ${most}. Of the pool nothing is predicted until a strategy looks at it.`;
  }
  const than = labelled > pool ? "more evenly spread than" : "no more evenly spread than";
  return `Entropy: ${nats(labelled)} nats labelled, ${nats(pool)} of the pool; ${most}. What is labelled is ${than} the pool.`;
}
