/** The IoU of each class, round by round, all on one scale. */

import type { Schemas } from "../api/client";
import { kept } from "../ui/storage";
import { fromZero, scale } from "./axes";
import { byClass, type OfClass, type Order, ORDERS, type Progress, type Round, sorted } from "./points";
import { AsTable } from "./table";
import { change, percent, points } from "./words";

interface PerClassProps {
  readonly project: Schemas["ProjectDetail"];
  readonly rounds: readonly Round[];
  readonly progress: Progress;
}

const order = kept<Order>("overview.order", "classes");
const WIDTH = 200;
const HEIGHT = 74;
const LEFT = 44;

export function PerClass({ project, rounds, progress }: PerClassProps) {
  const classes = byClass(project.classes, rounds, progress.points);
  if (!classes.some((each) => each.values.length > 0)) return null;
  const [, most] = fromZero(classes.flatMap((each) => each.values.map((value) => value.x)));
  const told = classes[0]!.values.map((value) => value.round);
  return (
    <section class="per-class">
      <header>
        <h2>IoU by class</h2>
        <label>
          Order{" "}
          <select value={order.value} onChange={(event) => (order.value = event.currentTarget.value as Order)}>
            {Object.entries(ORDERS).map(([name, says]) => (
              <option key={name} value={name}>
                {says}
              </option>
            ))}
          </select>
        </label>
      </header>
      <ul>
        {sorted(classes, order.value).map((each) => (
          <li key={each.place}>
            <p>
              <span class="swatch" style={{ backgroundColor: `rgb(${each.color.join(" ")})` }} />
              <span class="name">{each.name}</span>
              <span class="value">{percent(each.newest, 0)}</span>
              <span
                class={`change ${points(each.change ?? 0) < 0 ? "worse" : ""}`}
                title="Points since the first round"
              >
                {each.change === null ? "" : change(each.change)}
              </span>
            </p>
            <Small each={each} most={most} />
          </li>
        ))}
      </ul>
      <p class="hint">By labelled regions, all from 0 to 100 %; the difference is in points since the first round.</p>
      <AsTable
        head={["Class", ...told.map((round) => `Round ${round}`), "Change"]}
        rows={classes.map((each) => [each.name, ...each.values.map((value) => percent(value.y)), change(each.change)])}
      />
    </section>
  );
}

function Small({ each, most }: { each: OfClass; most: number }) {
  const atX = scale(0, most, LEFT, WIDTH - 6);
  const atY = scale(0, 1, HEIGHT - 8, 8);
  const known = each.values.flatMap((value) => (value.y === null ? [] : [{ ...value, y: value.y }]));
  const newest = known.at(-1);
  return (
    <svg
      class="small"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label={`${each.name}: ${percent(each.newest)}`}
    >
      {[0, 0.5, 1].map((value) => (
        <g key={value} class="grid">
          <line x1={LEFT} x2={WIDTH - 2} y1={atY(value)} y2={atY(value)} />
          <text x={LEFT - 5} y={atY(value) + 3.5} text-anchor="end">
            {percent(value, 0)}
          </text>
        </g>
      ))}
      <polyline points={known.map((value) => `${atX(value.x)},${atY(value.y)}`).join(" ")} />
      {known.map((value) => (
        <circle key={value.round} cx={atX(value.x)} cy={atY(value.y)} r={value === newest ? 3 : 1.6}>
          <title>{`Round ${value.round}: ${percent(value.y)}`}</title>
        </circle>
      ))}
    </svg>
  );
}
