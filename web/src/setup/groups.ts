/** What may change while a campaign runs, in groups: what each is called, means, and may be. */

import type { Field, Group, Name, Numbers } from "./fields";
import { ALL_STRATEGIES, STRIDES } from "./strategies";

const whole = (least: number, most: number): Numbers => ({ least, most, step: 1 });
const share = (least: number, most: number): Numbers => ({ least, most, step: "any", percent: true, unit: "%" });
const minutes = (most: number): Numbers => ({ least: 0.001, most, step: "any", unit: "minutes" });

export const GROUPS: readonly Group[] = [
  {
    says: "Project",
    folded: false,
    fields: [
      { name: "name", says: "Name", hint: "Unlike that of every other project.", by: { longest: 100 } },
      {
        name: "open_to_all",
        says: "Open to all",
        hint: "Everybody who may call this service, and whoever is added later, is a member; members may still be removed. Without it, who is a member stays one.",
        by: "check",
      },
    ],
  },
  {
    says: "What is asked for",
    folded: false,
    fields: [
      {
        name: "strategy",
        says: "What to ask for",
        hint: "Until the networks that it needs exist, regions are random, or unlike each other where it goes by distances too.",
        wide: true,
        by: { choices: ALL_STRATEGIES },
      },
      {
        name: "cost",
        says: "What labelling costs",
        hint: "Regions are asked for that are worth most for their cost.",
        by: {
          choices: [
            ["pixels", "pixels: The region's size"],
            ["clicks", "clicks: Clicks that draw what is predicted"],
            ["seconds", "seconds: What such clicks take here"],
          ],
        },
      },
      { name: "batch_size", says: "Regions a round", by: whole(1, 4096) },
      {
        name: "budget",
        says: "Regions in all",
        hint: "Imported ones do not count.",
        by: { ...whole(1, 10 ** 12), none: "until all are labelled" },
      },
      {
        name: "pool_size",
        says: "Candidates in a pool",
        hint: "A round has a pool for each region. More candidates take longer.",
        by: whole(1, 4096),
      },
      {
        name: "sampling",
        says: "Candidates come from",
        by: {
          choices: [
            ["images", "images: Few images, which is faster"],
            ["uniform", "uniform: All images"],
          ],
        },
      },
      {
        name: "protocol",
        says: "A round is made of",
        by: {
          choices: [
            ["per-pool", "per-pool: The best of each pool"],
            ["global", "global: The best of all pools"],
          ],
        },
      },
      {
        name: "retrain_every",
        says: "Rounds until a policy is trained anew",
        hint: "The job train-policy then starts by itself.",
        by: { ...whole(1, 100_000), none: "never by itself" },
      },
      {
        name: "lookahead",
        says: "Propose the next round while this one is being labelled",
        hint: "Nobody waits between rounds; the next one knows a little less.",
        wide: true,
        by: "check",
      },
    ],
  },
  {
    says: "How it is learned",
    hint: "What is changed here counts from the next round that is learned from.",
    folded: true,
    fields: [
      {
        name: "segmenter",
        says: "Segmenter",
        hint: "With another one, encoder and learning are chosen to suit it, unless you choose them.",
        by: "segmenter",
      },
      {
        name: "encoder",
        says: "Encoder",
        by: {
          choices: [
            ["frozen", "frozen: Published weights, for good"],
            ["trained", "trained: It learns with the rest"],
          ],
        },
      },
      {
        name: "learning",
        says: "Learning",
        by: {
          choices: [
            ["refit", "refit: The head, to all labels in every round"],
            ["pass", "pass: One pass over a round's crops"],
          ],
        },
      },
      {
        name: "stride",
        says: "The thinnest things are about as wide as",
        hint: "Pixels to a cell of a frozen encoder's features. What is thinner is hardly seen.",
        wide: true,
        by: { choices: STRIDES, numbers: true },
      },
      {
        name: "magnification",
        says: "Images are enlarged",
        hint: "Before a frozen encoder looks at them.",
        by: {
          choices: [
            ["1", "not at all"],
            ["1.5", "1.5 times"],
            ["2", "2 times"],
          ],
          numbers: true,
        },
      },
      {
        name: "refit_steps",
        says: "Steps of a refit",
        hint: "Where learning is refit. The first one takes eight times as many.",
        by: whole(1, 10_000),
      },
      {
        name: "passes_per_round",
        says: "Passes over a round's crops",
        hint: "Where learning is pass.",
        by: whole(1, 100),
      },
      {
        name: "learning_rate",
        says: "Learning rate",
        hint: "Where learning is pass.",
        by: { least: 1e-9, most: 10, step: "any" },
      },
      {
        name: "keep_segmenters",
        says: "Rounds whose segmenters are kept",
        hint: "The newest ones, beside those that something needs.",
        by: { ...whole(1, 100_000), none: "all of them" },
      },
    ],
  },
  {
    says: "Several annotators and reviews",
    folded: false,
    fields: [
      {
        name: "overlap",
        says: "Annotators for each region",
        hint: "Regions that were asked for already keep what they have.",
        by: whole(1, 9),
      },
      {
        name: "agreement",
        says: "Their label maps agree by",
        by: {
          choices: [
            ["miou", "miou: The mIoU of each two"],
            ["majority", "majority: Pixels on which most say the same"],
          ],
        },
      },
      { name: "agreement_threshold", says: "They agree from", hint: "Of mIoU, or of the pixels.", by: share(0, 100) },
      {
        name: "review",
        says: "A reviewer looks at",
        by: {
          choices: [
            ["disagreement", "disagreement: Regions that do not agree"],
            ["all", "all: Every region"],
          ],
        },
      },
      {
        name: "learn_from",
        says: "Where several agree, learn from",
        wide: true,
        by: {
          choices: [
            ["newest", "newest: What most say of a pixel; the newest label where no class has more than half"],
            ["majority", "majority: What most say of a pixel; nothing where no class has more than half"],
            ["reviewed", "reviewed: What a reviewer accepted, corrected or imported; every region waits for one"],
          ],
        },
      },
    ],
  },
  {
    says: "How long regions are held",
    folded: true,
    fields: [
      {
        name: "lease_minutes",
        says: "A region is held for",
        hint: "Who works holds it for longer; afterwards it is given to others.",
        by: { ...minutes(1440), none: "as the service says" },
      },
      {
        name: "max_lease_minutes",
        says: "Who works holds it for at most",
        by: minutes(10_080),
      },
      { name: "max_held", says: "Regions that one annotator holds at once", by: whole(1, 4096) },
      {
        name: "max_skip_share",
        says: "Of a round one annotator may skip",
        hint: "Three in any case; reviewers and admins may skip more.",
        by: share(0, 100),
      },
      {
        name: "max_round_share",
        says: "Of a round one annotator is given",
        hint: "No less than there is for each where all take part. 100 %: no cap.",
        by: share(0.001, 100),
      },
    ],
  },
  {
    says: "Gold regions",
    hint: "Regions whose label maps are known, to see how well people label. Nobody is told which; nothing is learned from them.",
    folded: true,
    fields: [
      {
        name: "gold_share",
        says: "Gold among an annotator's regions",
        hint: "Cut from images of the split train that have label maps.",
        by: share(0, 50),
      },
      {
        name: "gold_threshold",
        says: "Who is below this mIoU is paused",
        by: { ...share(0.001, 99.999), none: "nobody is paused" },
      },
      {
        name: "gold_window",
        says: "Judged by the last",
        hint: "And never by fewer.",
        by: { ...whole(1, 1000), unit: "gold regions" },
      },
    ],
  },
];

export const FIELDS: ReadonlyMap<Name, Field> = new Map(
  GROUPS.flatMap(({ fields }) => fields.map((each) => [each.name, each])),
);
