/** How mIoU rises with what is labelled: in the campaign, and in the games that a policy was compared in. */

import type { Schemas } from "../api/client";
import { kept } from "../ui/storage";
import { Chart, type Series } from "./chart";
import { breaks, curve, type Measure, MEASURES, type Progress, rows } from "./points";
import { winner } from "./savings";
import { AsTable } from "./table";
import { contender, counted, percent, short, SURE } from "./words";

const by = kept<Measure>("overview.by", "regions");

export function Learning({ progress }: { progress: Progress }) {
  const measure = by.value in MEASURES ? by.value : "regions";
  const points = curve(progress.points, measure);
  const untimed = progress.points.at(-1)?.untimed ?? 0;
  return (
    <section class="learning">
      <header>
        <h2>mIoU on the reward images</h2>
        <div class="switch" role="group" aria-label="By what is labelled">
          {Object.entries(MEASURES).map(([name, { says }]) => (
            <button
              key={name}
              type="button"
              aria-pressed={name === measure}
              onClick={() => (by.value = name as Measure)}
            >
              {says}
            </button>
          ))}
        </div>
      </header>
      {points.length === 0 ? (
        <p class="hint nothing">
          Nothing is measured yet: it takes labelled reward images and a round that is learned from.
        </p>
      ) : (
        <>
          <Chart
            title="mIoU on the reward images"
            series={[{ name: "mIoU", points }]}
            x={MEASURES[measure].axis}
            breaks={breaks(progress.points, measure)}
          />
          {measure === "hours" && untimed > 0 && (
            <p class="hint">{counted(untimed, "label")} came without seconds: that time is missing here.</p>
          )}
          <AsTable head={["Round", "Asked by", "Regions", "Pixels", "Hours", "mIoU"]} rows={rows(progress.points)} />
        </>
      )}
    </section>
  );
}

export function Simulated({ choice }: { choice: Schemas["ChoiceOut"] }) {
  const best = winner(choice);
  const names = [...new Set([best ?? "", "random"])].filter((name) => choice.courses[name] !== undefined);
  const series = names.map((name) => course(name, choice.courses[name]!));
  return (
    <section class="learning">
      <header>
        <h2>In simulation</h2>
        <ul class="legend">
          {series.map((each, place) => (
            <li key={each.name} class={`series-${place}`}>
              {each.name}
            </li>
          ))}
        </ul>
      </header>
      {series.length === 0 ? (
        <p class="hint nothing">
          {best === null
            ? "No held-out games were played yet: train-policy plays them on the images labelled as a whole."
            : "The newest policy was compared before curves were kept: run train-policy again to see them."}
        </p>
      ) : (
        <>
          <Chart title="mIoU in held-out games" series={series} x="labelled regions" />
          <p class="hint">
            {choice.games === 1
              ? "One held-out game on this project's labelled images; how sure that is cannot be told of one."
              : `Mean of ${choice.games} held-out games on this project's labelled images, with its ${SURE}.`}
          </p>
          <AsTable
            head={["Asked by", "Regions", "mIoU", SURE]}
            rows={series.flatMap((each) =>
              each.points.map((point, place) => [each.name, short(point.x), percent(point.y), interval(each, place)]),
            )}
          />
        </>
      )}
    </section>
  );
}

function course(name: string, { cells, mean, low, high }: Schemas["CourseOut"]): Series {
  const says = contender(name);
  const band = low.map((each, at) => [each / 100, high[at]! / 100] as const);
  const points = cells.map((x, at) => ({
    x,
    y: mean[at]! / 100,
    says: [`${percent(mean[at]! / 100)} by ${says}`, `${short(x)} labelled regions`, ...ends(band[at])],
  }));
  return { name: says, points, band };
}

function interval({ band = [] }: Series, place: number): string {
  return ends(band[place])[0]?.replace(`${SURE}: `, "") ?? "not known";
}

function ends(pair: readonly [number, number] | undefined): string[] {
  return pair === undefined ? [] : [`${SURE}: ${percent(pair[0])} to ${percent(pair[1])}`];
}
