/** What can be asked for, and what can learn it: words of the API, each with what it says. */

export type Choices = readonly (readonly [string, string])[];

/** Those that a new project begins with. */
export const STRATEGIES: Choices = [
  ["auto", "auto: The one that did best in games on your data; until then the policy that comes with regionwise"],
  ["entropy", "entropy: Where the network is least sure"],
  ["class-balanced", "class-balanced: Where rare classes may be"],
  ["random", "random: At random"],
];

export const ALL_STRATEGIES: Choices = [
  ...STRATEGIES,
  ["learned", "learned: By the project's newest policy"],
  ["margin", "margin: Where the likeliest class is hardly ahead of the next, by difference"],
  ["bvsb", "bvsb: Where the likeliest class is hardly ahead of the next, by ratio"],
  ["bald", "bald: Where predictions with dropout differ most"],
  ["impurity", "impurity: Where many classes meet and the network is unsure"],
  ["coreset", "coreset: Unlike all that is labelled"],
  ["diverse", "diverse: Unsure, and unlike what is labelled"],
  ["stratified-random", "stratified-random: At random, each predicted class alike"],
];

/** The stride of the encoder's features, in pixels: things are seen that are about as wide. */
export const STRIDES: Choices = [
  ["", "labels find it out: 8 pixels at first, fewer where regions are small or that turns out better"],
  ["8", "8 pixels"],
  ["4", "4 pixels, which takes longer"],
  ["2", "2 pixels, which takes much longer"],
];

/** Segmenters with names; others are smp:ARCH:ENCODER. */
export const SEGMENTERS: Choices = [
  ["efficientnet-lite0", "efficientnet-lite0"],
  ["efficientnet-lite1", "efficientnet-lite1: Larger"],
  ["efficientnet-lite2", "efficientnet-lite2: Larger still"],
  ["fpn", "fpn: The paper's, without published weights"],
  ["fpn-resnet50", "fpn-resnet50"],
];
