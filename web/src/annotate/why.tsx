/** Why a region was asked for: a sentence, and what the network sees there beside what is labelled by now. */

import type { Schemas } from "../api/client";
import type { Studio } from "./page";

interface WhyProps {
  readonly why: Schemas["WhyOut"];
  readonly studio: Studio;
}

export function Why({ why, studio }: WhyProps) {
  if (why.sentence === "") return null;
  const colours = new Map(studio.project.classes.map((each) => [each.id, each.color]));
  return (
    <details class="why" open>
      <summary>Why this region</summary>
      <p>{why.sentence}</p>
      {why.classes.length > 0 && (
        <table>
          <caption class="unseen">Classes that the network predicts here, and their shares of all labels</caption>
          <thead class="unseen">
            <tr>
              <th scope="col">Class</th>
              <th scope="col">Predicted here</th>
              <th scope="col">Of all labels</th>
            </tr>
          </thead>
          <tbody>
            {why.classes.map((each) => (
              <tr key={each.id}>
                <th scope="row">{each.name}</th>
                <td>
                  <Bar share={each.predicted} colour={colours.get(each.id)} />
                  <span class="share">{percent(each.predicted)}</span>
                </td>
                <td title="Of all pixels that are labelled by now">
                  {each.labelled === null ? "" : `${percent(each.labelled)} of labels`}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </details>
  );
}

function Bar({ share, colour }: { share: number; colour: readonly number[] | undefined }) {
  return (
    <svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
      <rect width="100" height="10" class="ground" />
      <rect width={100 * share} height="10" fill={`rgb(${(colour ?? [128, 128, 128]).join(" ")})`} />
    </svg>
  );
}

function percent(share: number): string {
  return share > 0 && share < 0.01 ? "<1 %" : `${Math.round(100 * share)} %`;
}
