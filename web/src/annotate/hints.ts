/** What the network knows of a region beside its prediction: where it is unsure, what an encoder sees, why it asked. */

import { ApiError, ask, type Schemas } from "../api/client";
import type { Features } from "../mask/features";
import { decodePng } from "../mask/png";

export interface Hints {
  readonly why: Schemas["WhyOut"];
  /** Grey values of how unsure it is of each pixel; of a large region fewer, for squares of it. */
  readonly uncertainty: OffscreenCanvas | null;
  readonly features: Features | null;
}

/** Without hints a region can be painted as well: what fails here is no trouble. */
export async function hintsOf(region: number, signal: AbortSignal): Promise<Hints | null> {
  try {
    return await read(await ask<Schemas["HintsOut"]>("GET", `/regions/${region}/hints`, { signal }));
  } catch (error) {
    if (error instanceof ApiError) return null;
    throw error;
  }
}

async function read({ why, uncertainty_png, features }: Schemas["HintsOut"]): Promise<Hints> {
  return {
    why,
    uncertainty: uncertainty_png === null ? null : await heat(fromBase64(uncertainty_png)),
    features: features === null ? null : await cells(features),
  };
}

async function cells({ png, channels, stride, top, left }: Schemas["FeaturesOut"]): Promise<Features> {
  const { width, height, ids } = await decodePng(fromBase64(png));
  return { channels, rows: height / channels, cols: width, stride, top, left, values: ids };
}

/** The less sure, the less transparent: a colour that neither streets nor tissue has. */
async function heat(png: Uint8Array): Promise<OffscreenCanvas> {
  const { width, height, ids } = await decodePng(png);
  const image = new ImageData(width, height);
  ids.forEach((value, at) => image.data.set([255, 0, 200, value], 4 * at));
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")!.putImageData(image, 0, 0);
  return canvas;
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
